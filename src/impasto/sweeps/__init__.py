"""Sweeps: a photo painted with many settings. `variations` are the settings that vary, `cells` the pictures."""

from impasto.sweeps.cells import Cell
from impasto.sweeps.sweep import Sweep, make_sweep, sweep
from impasto.sweeps.variations import RECIPE, STYLE_WEIGHTS, Choice, Variation, hyphenate

__all__ = ["RECIPE", "STYLE_WEIGHTS", "Cell", "Choice", "Sweep", "Variation", "hyphenate", "make_sweep", "sweep"]
