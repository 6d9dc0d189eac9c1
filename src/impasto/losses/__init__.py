"""The losses: the computation of each loss of `impasto.recipe.terms`, one in a file.

The loss that `terms.MeanCovariance` names is the class `MeanCovariance` in `mean_covariance.py`; `build` finds every
loss by this rule.
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

# A loss with a target of any type.
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
    """Return the loss that `spec` names; its `fit` is to be called next.

    >>> from impasto.recipe import terms
    >>> type(build(terms.MeanCovariance())).__module__
    'impasto.losses.mean_covariance'

    """
    name = type(spec).__name__
    module = importlib.import_module(f"impasto.losses.{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}")
    loss: AnyLoss = getattr(module, name)(spec)
    return loss
