"""The kinds of losses, by what they ask of an image.

A loss is a statistic and a distance. What the statistic is decides how the loss behaves under tiling: a sum over
positions or of moments adds up tile by tile, and the distance of the sum is exact. A loss that needs all positions at
once cannot be tiled; one of the image itself, which is whole even then, can.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from torch import Tensor

from impasto.ops.moments import Moments
from impasto.ops.shapes import AnyFeatures, Features, Image, Scalar

Target = TypeVar("Target")


class PositionLoss(ABC, Generic[Target]):
    """Compares features position by position."""

    @abstractmethod
    def target(self, features: Features) -> Target:
        """Return what the loss needs to know of the features to be matched."""

    @abstractmethod
    def matched(self, target: Target) -> Features:
        """Return the features that `target` holds, position by position."""

    @abstractmethod
    def statistic(self, features: Features, matched: Features, target: Target) -> Tensor:
        """Return sums over the positions of `features`, all or some, and of what is `matched` there; they add up."""

    @abstractmethod
    def value(self, statistic: Tensor, target: Target) -> Scalar:
        """Return the loss at one layer, from the statistic of all positions."""


class MomentLoss(ABC, Generic[Target]):
    """Compares the moments of features, wherever in the picture they are."""

    @abstractmethod
    def target(self, moments: Moments) -> Target:
        """Return what the loss needs to know of the moments to be matched."""

    @abstractmethod
    def value(self, moments: Moments, target: Target) -> Scalar:
        """Return the loss of `moments` at one layer."""


class FeatureLoss(ABC, Generic[Target]):
    """Compares all the features of a layer with all those of the styles, wherever in the picture they are."""

    @abstractmethod
    def target(self, styles: Sequence[tuple[AnyFeatures, float]], positions: int) -> Target:
        """Return what the loss needs to know of the styles to judge features of that many positions.

        Args:
            styles: (1, C, h, w) of each, and its weight, above 0; the weights sum to 1.
            positions: of the features to be judged.

        """

    @abstractmethod
    def value(self, features: Features, target: Target) -> Scalar:
        """Return the loss of `features`, all positions of one layer."""


class PhotoLoss(ABC, Generic[Target]):
    """Compares the image itself with the photo."""

    @abstractmethod
    def target(self, photo: Image) -> Target:
        """Return what the loss needs to know of the photo."""

    @abstractmethod
    def value(self, image: Image, target: Target) -> Scalar:
        """Return the loss of `image`, as large as the photo."""


class ImageLoss(ABC):
    """Judges the image itself."""

    @abstractmethod
    def value(self, image: Image) -> Scalar:
        """Return the loss of `image`."""
