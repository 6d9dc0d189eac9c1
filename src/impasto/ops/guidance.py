"""Regions of a picture that take their style from different places. Gatys et al. 2017, section 4.

"Controlling Perceptual Factors in Neural Style Transfer": a guidance channel weighs every position of a layer, and the
statistics of a region are those of its weighted positions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from torch import Tensor
from torch.nn import functional as F

from impasto.ops.shapes import Mask
from impasto.recipe import Part, vgg_layers
from impasto.recipe.vgg_layers import Convolution

# Ours: layers with positions at most this many pixels apart see strokes, coarser ones shapes.
_FINE_STRIDE: Final = 2


class Source(NamedTuple):
    """A style picture, or a part of it, that a region is painted in.

    Attributes:
        style: index of the style picture.
        mask: (1, 1, h, w) in [0, 1], weights of the picture's pixels; None for 1 everywhere.
        part: the layers it counts at: those of strokes and colours (`fine`), of shapes (`coarse`), or `all`.

    """

    style: int
    mask: Tensor | None = None
    part: Part = "all"

    def applies_to(self, stride: int) -> bool:
        """Whether the style counts at layers of that stride."""
        return self.part == "all" or (self.part == "fine") == (stride <= _FINE_STRIDE)


@dataclass(frozen=True, eq=False)
class Region:
    """A region of the picture and its styles.

    Attributes:
        mask: (1, 1, H, W) in [0, 1], how much each pixel belongs to the region; None for the whole picture.
        sources: its styles, at least one.

    """

    mask: Tensor | None
    sources: tuple[Source, ...]


def normalize_weights(weights: Sequence[float]) -> list[float]:
    """Return weights that sum to 1; equal ones if all are 0."""
    total = sum(weights)
    return [weight / total for weight in weights] if total > 0 else [1 / len(weights)] * len(weights)


def propagate_mask(mask: Mask, convolutions: Iterable[Convolution], layers: Iterable[str]) -> dict[str, Mask]:
    """Return a mask at each layer: averaged over 3 x 3 positions per convolution and 2 x 2 per pooling.

    A position near an edge belongs to each side by the part of it that it sees, so regions neither overlap nor leave
    gaps.

    Args:
        mask: (1, 1, H, W) in [0, 1].
        convolutions: of the network.
        layers: whose masks are needed, such as `relu4_2`.

    Returns:
        Masks by layer, each of the size of the layer's features, in [0, 1]; masks that sum to 1 still do.

    """
    remaining = set(layers)
    masks = {vgg_layers.PIXELS: mask} if vgg_layers.PIXELS in remaining else {}
    remaining -= {vgg_layers.PIXELS}
    block = 1
    for convolution in convolutions:
        if not remaining:
            break
        if convolution.block != block:
            block = convolution.block
            mask = F.avg_pool2d(mask, 2, ceil_mode=True, count_include_pad=False)
        mask = F.avg_pool2d(mask, 3, stride=1, padding=1, count_include_pad=False)
        masks |= dict.fromkeys({convolution.name, convolution.rectified} & remaining, mask)
        remaining -= {convolution.name, convolution.rectified}
    return masks
