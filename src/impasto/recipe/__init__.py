"""What a person asks for: terms, schedule, optimiser, and the named recipes. Nothing here imports torch."""

from impasto.recipe.recipe import INITS, LBFGS, MOST_SCALE, OPTIMIZERS, PARTS, Adam, ColorMatch, Part, Recipe

__all__ = ["INITS", "LBFGS", "MOST_SCALE", "OPTIMIZERS", "PARTS", "Adam", "ColorMatch", "Part", "Recipe"]
