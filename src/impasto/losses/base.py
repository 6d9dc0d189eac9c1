"""What every loss implements, and the five kinds of losses by what they compare.

A loss of features is a statistic and a distance. The statistic decides how the loss behaves under tiling: moments and
sums over positions add up tile by tile, and the distance of the sum is exact. A loss that needs all positions of a
layer at once cannot be tiled; one of the image itself, which is whole even then, can.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

from torch import Tensor
from torch.nn import functional as F

from impasto.ops.moments import Moments
from impasto.ops.shapes import AnyFeatures, Features, Image, Scalar
from impasto.ops.tiling import Tile

Target = TypeVar("Target")


class Need(enum.Enum):
    """What a loss compares: the data that the objective has to compute for it."""

    MOMENTS = enum.auto()  # of the features of a layer
    POSITIONS = enum.auto()  # the features of a layer, position by position
    FEATURES = enum.auto()  # all the features of a layer at once
    IMAGE = enum.auto()  # the image itself


@dataclass(frozen=True)
class Sources:
    """What a loss is fitted to: of a layer, if it compares features.

    Attributes:
        photo: (1, 3, H, W) sRGB in [0, 1].
        photo_features: (1, C, h, w) of the photo; for losses that compare position by position.
        style_moments: of the styles, blended; for losses of moments.
        style_features: (1, C, h, w) of each style with its weight, above 0, which sum to 1; for losses that need all.
        n_positions: h w, the positions of the image's features at the layer.

    """

    photo: Image
    photo_features: Tensor | None = None
    style_moments: Moments | None = None
    style_features: Sequence[tuple[Tensor, float]] = ()
    n_positions: int = 0


class TileView(NamedTuple):
    """A tile of the image as a network sees it, at one layer."""

    features: Tensor  # (1, C, h, w) of the tile's core
    tile: Tile
    stride: int  # of the layer, in pixels


@dataclass(frozen=True)
class Summary:
    """The whole image, as far as a loss needs it.

    Attributes:
        image: (1, 3, H, W) sRGB in [0, 1].
        wraps: whether the image continues at its other side.
        moments: of the features of the layer in the region; for losses of moments.
        statistic: the loss's own, added over all tiles; None where it has none.

    """

    image: Image
    wraps: bool = False
    moments: Moments | None = None
    statistic: Tensor | None = None


class LossSize(NamedTuple):
    """What the memory and the time of a loss depend on."""

    pixels: int  # of the image
    style_pixels: int  # of the largest style picture
    layers: Sequence[tuple[float, int]]  # of each layer compared: its numbers for a pixel, and its stride


class Loss(ABC, Generic[Target]):
    """One loss, computed: fitted once to a photo and its styles, then evaluated at every step."""

    need: ClassVar[Need]

    @abstractmethod
    def fit(self, sources: Sources) -> Target:
        """Return what the loss aims at: all that it needs to know of photo and styles."""

    @abstractmethod
    def tile_statistic(self, view: TileView, target: Target) -> Tensor | None:
        """Return what the loss needs of a tile's features, additive over tiles; None if moments or the image do."""

    @abstractmethod
    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss of the whole image."""

    def extra_bytes(self, size: LossSize) -> float:
        """Return the bytes that an evaluation takes beyond the network's features."""
        return 0.0

    def extra_seconds(self, size: LossSize, flops_per_second: float) -> float:
        """Return the seconds that an evaluation takes beyond the network's, on a CPU of that speed."""
        return 0.0


class PositionLoss(Loss[Target]):
    """Compares features position by position with the photo's."""

    need = Need.POSITIONS

    @abstractmethod
    def target(self, features: Features) -> Target:
        """Return what the loss needs to know of the features to be matched."""

    @abstractmethod
    def target_features(self, target: Target) -> Features:
        """Return the features that `target` holds, position by position."""

    @abstractmethod
    def statistic(self, features: Features, matched: Features, target: Target) -> Tensor:
        """Return sums over positions, additive over tiles.

        Args:
            features: (1, C, h, w) of the image, at all positions or those of one tile.
            matched: (1, C, h, w) the target's features at the same positions.
            target: of the whole image.

        """

    @abstractmethod
    def value(self, statistic: Tensor, target: Target) -> Scalar:
        """Return the loss at one layer, from the statistic of all positions."""

    def fit(self, sources: Sources) -> Target:
        """Return the target that the photo's features are."""
        assert sources.photo_features is not None
        return self.target(sources.photo_features)

    def tile_statistic(self, view: TileView, target: Target) -> Tensor:
        """Return the statistic of the tile's positions."""
        matched = view.tile.part(self.target_features(target), view.stride)
        return self.statistic(view.features, matched.to(view.features.device), target)

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss from the statistic of all tiles."""
        assert summary.statistic is not None
        return self.value(summary.statistic, target)


class MomentLoss(Loss[Target]):
    """Compares the moments of features, wherever in the picture they are."""

    need = Need.MOMENTS

    @abstractmethod
    def target(self, moments: Moments) -> Target:
        """Return what the loss needs to know of the moments to be matched."""

    @abstractmethod
    def value(self, moments: Moments, target: Target) -> Scalar:
        """Return the loss of `moments` at one layer."""

    def fit(self, sources: Sources) -> Target:
        """Return the target that the styles' moments are."""
        assert sources.style_moments is not None
        return self.target(sources.style_moments)

    def tile_statistic(self, view: TileView, target: Target) -> None:
        """Return None: the objective computes the moments of a layer once for all losses."""

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss from the moments of all tiles."""
        assert summary.moments is not None
        return self.value(summary.moments, target)


class FeatureLoss(Loss[Target]):
    """Compares all the features of a layer with all those of the styles, wherever in the picture they are."""

    need = Need.FEATURES

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

    def fit(self, sources: Sources) -> Target:
        """Return the target that the styles' features are."""
        return self.target(sources.style_features, sources.n_positions)

    def tile_statistic(self, view: TileView, target: Target) -> Tensor:
        """Return the loss itself: the only tile is the whole picture."""
        return self.value(view.features, target)

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss of the only tile."""
        assert summary.statistic is not None
        return summary.statistic


class PhotoLoss(Loss[Target]):
    """Compares the image itself with the photo."""

    need = Need.IMAGE

    @abstractmethod
    def target(self, photo: Image) -> Target:
        """Return what the loss needs to know of the photo."""

    @abstractmethod
    def value(self, image: Image, target: Target) -> Scalar:
        """Return the loss of `image`, as large as the photo."""

    def fit(self, sources: Sources) -> Target:
        """Return the target that the photo is."""
        return self.target(sources.photo)

    def tile_statistic(self, view: TileView, target: Target) -> None:
        """Return None: nothing is asked of features."""

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss of the image."""
        return self.value(summary.image, target)


class ImageLoss(Loss[None]):
    """Depends on the image alone."""

    need = Need.IMAGE

    @abstractmethod
    def value(self, image: Image) -> Scalar:
        """Return the loss of `image`."""

    def fit(self, sources: Sources) -> None:
        """Return None: there is nothing to be matched."""

    def tile_statistic(self, view: TileView, target: None) -> None:
        """Return None: nothing is asked of features."""

    def evaluate(self, summary: Summary, target: None) -> Scalar:
        """Return the loss of the image, and across its edges if it continues at its other side."""
        image = summary.image
        return self.value(F.pad(image, (0, 1, 0, 1), mode="circular") if summary.wraps else image)
