"""The interface of a loss, and one base class for each kind of data that losses compare.

A loss of features is computed in two parts: a statistic, and the value that follows from it. Moments, and sums over
positions, are additive, so the statistics of an image's tiles add up to those of the whole, exactly. A loss that needs
all positions of a layer at once cannot be tiled. Losses of the image itself never are: the image is always there whole.
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
    """The data that a loss compares, which the objective computes for it."""

    MOMENTS = enum.auto()  # moments of the features of a layer
    POSITIONS = enum.auto()  # features of a layer, position by position
    FEATURES = enum.auto()  # all features of a layer at once
    IMAGE = enum.auto()  # the image itself


@dataclass(frozen=True)
class Sources:
    """What a loss can be fitted to; the features and moments are those of its layer.

    Attributes:
        photo: (1, 3, H, W) sRGB in [0, 1].
        photo_features: (1, C, h, w); for a `PositionLoss`.
        style_moments: of all styles, blended; for a `MomentLoss`.
        style_features: (1, C, h, w) of each style with its weight above 0; they sum to 1; for a `FeatureLoss`.
        n_positions: h w, the number of positions of the image's features.

    """

    photo: Image
    photo_features: Tensor | None = None
    style_moments: Moments | None = None
    style_features: Sequence[tuple[Tensor, float]] = ()
    n_positions: int = 0


class TileView(NamedTuple):
    """The features of a tile of the image at one layer."""

    features: Tensor  # (1, C, h, w) at the positions of the tile's core
    tile: Tile
    stride: int  # of the layer, in pixels


@dataclass(frozen=True)
class Summary:
    """The whole image, as the statistics that a loss needs.

    Attributes:
        image: (1, 3, H, W) sRGB in [0, 1].
        wraps: whether opposite edges of the image are neighbours, as in a seamless texture.
        moments: of the features of the layer in the component's region; for a `MomentLoss`.
        statistic: the sum of `tile_statistic` over all tiles; None if the loss has none.

    """

    image: Image
    wraps: bool = False
    moments: Moments | None = None
    statistic: Tensor | None = None


class LossSize(NamedTuple):
    """The sizes that the memory and time of a loss depend on."""

    pixels: int  # of the image
    style_pixels: int  # of the largest style picture
    layers: Sequence[tuple[float, int]]  # of each layer: numbers per pixel of the image, and stride


class Loss(ABC, Generic[Target]):
    """A loss: fitted once to a photo and its styles, then evaluated in every step."""

    need: ClassVar[Need]
    capturable: ClassVar[bool] = True  # whether an evaluation never waits for the device, so that CUDA can capture it

    @abstractmethod
    def fit(self, sources: Sources) -> Target:
        """Return the target: all that the loss needs of photo and styles."""

    @abstractmethod
    def tile_statistic(self, view: TileView, target: Target) -> Tensor | None:
        """Return the additive statistic of a tile; None if the loss follows from moments or from the image."""

    @abstractmethod
    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss of the whole image, a scalar."""

    def extra_bytes(self, size: LossSize) -> float:
        """Return the bytes that an evaluation needs beyond the network's features."""
        return 0.0

    def extra_seconds(self, size: LossSize, flops_per_second: float) -> float:
        """Return the seconds that an evaluation takes beyond the network's, on a CPU of that speed."""
        return 0.0


class PositionLoss(Loss[Target]):
    """A loss that compares features with the photo's, position by position."""

    need = Need.POSITIONS

    @abstractmethod
    def target(self, features: Features) -> Target:
        """Return the target for the photo's features."""

    @abstractmethod
    def target_features(self, target: Target) -> Features:
        """Return the target's features, (1, C, h, w)."""

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
        """Return the loss at one layer from the statistic of all positions."""

    def fit(self, sources: Sources) -> Target:
        """Return the target for the photo's features."""
        assert sources.photo_features is not None
        return self.target(sources.photo_features)

    def tile_statistic(self, view: TileView, target: Target) -> Tensor:
        """Return the statistic of the positions in the tile's core."""
        matched = view.tile.part(self.target_features(target), view.stride)
        return self.statistic(view.features, matched.to(view.features.device), target)

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss from the statistics of all tiles."""
        assert summary.statistic is not None
        return self.value(summary.statistic, target)


class MomentLoss(Loss[Target]):
    """A loss that compares moments of features, which know no places."""

    need = Need.MOMENTS

    @abstractmethod
    def target(self, moments: Moments) -> Target:
        """Return the target for the styles' moments."""

    @abstractmethod
    def value(self, moments: Moments, target: Target) -> Scalar:
        """Return the loss at one layer."""

    def fit(self, sources: Sources) -> Target:
        """Return the target for the styles' blended moments."""
        assert sources.style_moments is not None
        return self.target(sources.style_moments)

    def tile_statistic(self, view: TileView, target: Target) -> None:
        """Return None: the objective computes the moments of a layer once for all losses."""

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss from the moments of all tiles."""
        assert summary.moments is not None
        return self.value(summary.moments, target)


class FeatureLoss(Loss[Target]):
    """A loss that compares all features of a layer with all those of the styles, at whatever positions."""

    need = Need.FEATURES

    @abstractmethod
    def target(self, styles: Sequence[tuple[AnyFeatures, float]], positions: int) -> Target:
        """Return the target for the styles' features.

        Args:
            styles: (1, C, h, w) of each with its weight above 0; the weights sum to 1.
            positions: number of positions of the image's features.

        """

    @abstractmethod
    def value(self, features: Features, target: Target) -> Scalar:
        """Return the loss at one layer; `features` has all positions."""

    def fit(self, sources: Sources) -> Target:
        """Return the target for the styles' features."""
        return self.target(sources.style_features, sources.n_positions)

    def tile_statistic(self, view: TileView, target: Target) -> Tensor:
        """Return the loss itself, since the only tile is the whole image."""
        return self.value(view.features, target)

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss of the only tile."""
        assert summary.statistic is not None
        return summary.statistic


class PhotoLoss(Loss[Target]):
    """A loss that compares the image itself with the photo."""

    need = Need.IMAGE

    @abstractmethod
    def target(self, photo: Image) -> Target:
        """Return the target for the photo."""

    @abstractmethod
    def value(self, image: Image, target: Target) -> Scalar:
        """Return the loss of `image`, which has the photo's size."""

    def fit(self, sources: Sources) -> Target:
        """Return the target for the photo."""
        return self.target(sources.photo)

    def tile_statistic(self, view: TileView, target: Target) -> None:
        """Return None: this loss compares no features."""

    def evaluate(self, summary: Summary, target: Target) -> Scalar:
        """Return the loss of the image."""
        return self.value(summary.image, target)


class ImageLoss(Loss[None]):
    """A loss of the image alone."""

    need = Need.IMAGE

    @abstractmethod
    def value(self, image: Image) -> Scalar:
        """Return the loss of `image`."""

    def fit(self, sources: Sources) -> None:
        """Return None: there is no target."""

    def tile_statistic(self, view: TileView, target: None) -> None:
        """Return None: this loss compares no features."""

    def evaluate(self, summary: Summary, target: None) -> Scalar:
        """Return the loss of the image; if that wraps, also across its edges."""
        image = summary.image
        return self.value(F.pad(image, (0, 1, 0, 1), mode="circular") if summary.wraps else image)
