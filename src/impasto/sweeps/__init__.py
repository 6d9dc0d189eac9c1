"""Sweeps: the space of settings seen at once. `variations` says what varies, `cells` keeps what was painted."""

from impasto.sweeps.cells import Cell
from impasto.sweeps.sweep import Sweep, make_sweep, sweep
from impasto.sweeps.variations import RECIPE, STYLE_WEIGHTS, Choice, Variation, hyphenate

__all__ = ["RECIPE", "STYLE_WEIGHTS", "Cell", "Choice", "Sweep", "Variation", "hyphenate", "make_sweep", "sweep"]
