"""The networks' weights: what they are, where they lie, and that they are what they claim to be."""

from impasto.weights.load import load
from impasto.weights.spec import EMBEDDED, WeightsSpec

__all__ = ["EMBEDDED", "WeightsSpec", "load"]
