"""The objective of a run: its terms, fitted to a photo and its styles at one size."""

from impasto.engine.objective.evaluation import Evaluation, gradient_of
from impasto.engine.objective.objective import Objective

__all__ = ["Evaluation", "Objective", "gradient_of"]
