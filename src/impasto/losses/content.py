"""Content: squared distance between feature maps. Gatys et al. 2016, equation 1."""

from typing import NamedTuple

from torch import Tensor

from impasto import terms
from impasto.losses.base import PositionLoss
from impasto.types import Features, Scalar


class ContentTarget(NamedTuple):
    """The photo's features, what their distance is multiplied by, and the least spread a channel is taken to have."""

    features: Features
    scale: float
    floor: Tensor | None  # None where channels are compared as they are


class Content(PositionLoss[ContentTarget]):
    """See `impasto.terms.Content`."""

    def __init__(self, spec: terms.Content) -> None:
        self.form = spec.form

    def target(self, features: Features) -> ContentTarget:
        """Return the photo's features and the scale of the chosen form."""
        match self.form:
            case "literal":
                return ContentTarget(features, 0.5, None)
            case "mean":
                return ContentTarget(features, 1 / features.numel(), None)
            case "relative":
                energy = features.square().sum().item()
                return ContentTarget(features, 1 / max(energy, _TINY), None)
            case "normalized":
                floor = (_SPREAD_FLOOR * features.square().mean()).clamp(min=_TINY)
                return ContentTarget(_normalized(features, floor), 1 / features.numel(), floor)

    def value(self, features: Features, target: ContentTarget) -> Scalar:
        """Return the scaled sum of squared differences, over the whole batch."""
        if target.floor is not None:
            features = _normalized(features, target.floor)
        return (features - target.features).square().sum() * target.scale


def _normalized(features: Features, floor: Tensor) -> Features:
    centred = features - features.mean((2, 3), keepdim=True)
    normalized: Features = centred * (centred.square().mean((2, 3), keepdim=True) + floor).rsqrt()
    return normalized


# Keeps features that are all zero from dividing by zero; far below the energy of any other.
_TINY = 1e-12
# Ours: a channel that varies by less than a thousandth of the features' root mean square says nothing; its variance is
# filled up with the square of that instead of being blown up to 1.
_SPREAD_FLOOR = 1e-6
