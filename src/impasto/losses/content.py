"""Content: squared distance between feature maps. Gatys et al. 2016, equation 1."""

from typing import NamedTuple

from impasto import terms
from impasto.losses.base import PositionLoss
from impasto.types import Features, Scalar


class ContentTarget(NamedTuple):
    """The photo's features, and what their distance is multiplied by."""

    features: Features
    scale: float


class Content(PositionLoss[ContentTarget]):
    """See `impasto.terms.Content`."""

    def __init__(self, spec: terms.Content) -> None:
        self.form = spec.form

    def target(self, features: Features) -> ContentTarget:
        """Return the photo's features and the scale of the chosen form."""
        if self.form == "literal":
            scale = 0.5
        elif self.form == "mean":
            scale = 1 / features.numel()
        else:
            scale = 1 / max(features.double().square().sum().item(), _TINY)
        return ContentTarget(features, scale)

    def value(self, features: Features, target: ContentTarget) -> Scalar:
        """Return the scaled sum of squared differences, over the whole batch."""
        return (features - target.features).square().sum() * target.scale


# Keeps a photo whose features are all zero from dividing by zero; far below the sum of any other.
_TINY = 1e-12
