"""What a person asks for: recipes with their terms and schedule, input pictures, presets. No torch."""

from impasto.recipe.inputs import (
    AUTOMATIC,
    PARTS,
    Compute,
    Inputs,
    Part,
    Precision,
    Style,
    list_styles,
    normalize_weights,
    pair_styles,
)
from impasto.recipe.recipe import INITS, LBFGS, MOST_SCALE, OPTIMIZERS, Adam, ColorMatch, Recipe

__all__ = [
    "AUTOMATIC",
    "INITS",
    "LBFGS",
    "MOST_SCALE",
    "OPTIMIZERS",
    "PARTS",
    "Adam",
    "ColorMatch",
    "Compute",
    "Inputs",
    "Part",
    "Precision",
    "Recipe",
    "Style",
    "list_styles",
    "normalize_weights",
    "pair_styles",
]
