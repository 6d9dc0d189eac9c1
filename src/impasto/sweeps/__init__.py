"""Sweeps: the space of settings seen at once. `variations` says what varies, `cells` keeps what was painted."""

from impasto.sweeps.cells import Cell
from impasto.sweeps.sweep import Sweep, sweep, swept
from impasto.sweeps.variations import RECIPE, STYLE_WEIGHTS, Choice, Variation, hyphened

__all__ = ["RECIPE", "STYLE_WEIGHTS", "Cell", "Choice", "Sweep", "Variation", "hyphened", "sweep", "swept"]
