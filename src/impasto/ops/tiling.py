"""Tiles of a picture whose statistics add up exactly to those of the whole.

Each tile has a core, which belongs to no other tile, and around it a halo as wide as the receptive field of the deepest
layer, so that at the core's positions the network computes from the tile what it computes from the whole picture. Cores
begin at multiples of the deepest layer's stride, so that poolings cover the same pixels.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor

from impasto.recipe import vgg_layers
from impasto.recipe.vgg_layers import Convolution


class Span(NamedTuple):
    """A tile's extent along one side of the picture, in pixels."""

    start: int  # of the core
    end: int
    outer_start: int  # with the halo
    outer_end: int

    def positions(self, stride: int) -> slice:
        """Return the core's positions in the whole picture's features."""
        return slice(self.start // stride, math.ceil(self.end / stride))

    def core(self, stride: int) -> slice:
        """Return the core's positions in the tile's features."""
        offset = self.outer_start // stride
        return slice(self.start // stride - offset, math.ceil(self.end / stride) - offset)


class Tile(NamedTuple):
    """A part of a picture: a core with a halo around it."""

    rows: Span
    columns: Span

    def cut(self, image: Tensor) -> Tensor:
        """Return the tile of an image, halo included, as a view."""
        return image[
            ..., self.rows.outer_start : self.rows.outer_end, self.columns.outer_start : self.columns.outer_end
        ]

    def core(self, features: Tensor, stride: int) -> Tensor:
        """Return the core of the tile's features, as a view."""
        return features[..., self.rows.core(stride), self.columns.core(stride)]

    def part(self, features: Tensor, stride: int) -> Tensor:
        """Return the core in the whole picture's features, as a view."""
        return features[..., self.rows.positions(stride), self.columns.positions(stride)]


def tiles(height: int, width: int, size: int | None, halo: int, stride: int) -> list[Tile]:
    """Return the tiles of a picture, row by row.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        size: the longest side of a core in pixels, rounded up to a multiple of the stride; None for a single tile.
        halo: in pixels, a multiple of the stride.
        stride: of the deepest layer, in pixels.

    """
    rows = list(_spans(height, size, halo, stride))
    columns = list(_spans(width, size, halo, stride))
    return [Tile(row, column) for row in rows for column in columns]


def _spans(length: int, size: int | None, halo: int, stride: int) -> Iterator[Span]:
    count = 1 if size is None else math.ceil(length / size)
    step = stride * math.ceil(length / count / stride)
    for start in range(0, length, step):
        end = min(start + step, length)
        yield Span(start, end, max(0, start - halo), min(length, end + halo))


def reach(layers: Iterable[str], convolutions: Iterable[Convolution]) -> tuple[int, int]:
    """Return the receptive field of the deepest layer beyond a position, in pixels, and the layer's stride.

    The first is rounded up to a multiple of the stride.
    """
    convolutions = tuple(convolutions)
    known = vgg_layers.layers(convolutions)
    deepest = max((known[layer] for layer in layers if layer != vgg_layers.PIXELS), default=None, key=_field)
    if deepest is None:
        return 0, 1
    # A convolution adds one position on each side; a pooling adds none beyond its own position.
    wide = 0
    for convolution in convolutions:
        wide += known[convolution.name].stride
        if deepest.name in (convolution.name, convolution.rectified):
            break
    return deepest.stride * math.ceil(wide / deepest.stride), deepest.stride


def _field(layer: vgg_layers.LayerInfo) -> int:
    return layer.receptive_field
