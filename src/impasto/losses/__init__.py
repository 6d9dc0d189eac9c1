"""The arithmetic of the losses that `impasto.recipe.terms` names. One loss a file.

The loss of `terms.MeanCovariance` is the class `MeanCovariance` in `mean_covariance.py`, and so for every other:
`build` finds it by its name.
"""

import importlib
import re
from typing import Any

from impasto.losses.base import (
    FeatureLoss,
    ImageLoss,
    Loss,
    LossSize,
    MomentLoss,
    Need,
    PhotoLoss,
    PositionLoss,
    Sources,
    Summary,
    TileView,
)
from impasto.recipe import terms

# Of whatever target.
AnyLoss = Loss[Any]

__all__ = [
    "AnyLoss",
    "FeatureLoss",
    "ImageLoss",
    "Loss",
    "LossSize",
    "MomentLoss",
    "Need",
    "PhotoLoss",
    "PositionLoss",
    "Sources",
    "Summary",
    "TileView",
    "build",
]


def build(spec: terms.Loss) -> AnyLoss:
    """Return the loss that `spec` names, ready to be fitted.

    >>> from impasto.recipe import terms
    >>> type(build(terms.MeanCovariance())).__module__
    'impasto.losses.mean_covariance'

    """
    name = type(spec).__name__
    module = importlib.import_module(f"impasto.losses.{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}")
    loss: AnyLoss = getattr(module, name)(spec)
    return loss
