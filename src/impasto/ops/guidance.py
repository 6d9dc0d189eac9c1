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

# Layers whose positions are at most this many pixels apart speak of strokes, the others of forms.
_FINE_STRIDE: Final = 2


class Source(NamedTuple):
    """Where a region takes its style from.

    Attributes:
        style: index of the style picture.
        mask: (1, 1, h, w) in [0, 1], how much each of its pixels counts; None where all count alike.
        part: which layers it speaks for: of strokes and colours (`fine`), of forms (`coarse`), or `all`.

    """

    style: int
    mask: Tensor | None = None
    part: Part = "all"

    def applies_to(self, stride: int) -> bool:
        """Whether it has a say at layers of that stride."""
        return self.part == "all" or (self.part == "fine") == (stride <= _FINE_STRIDE)


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the picture and its style.

    Attributes:
        mask: (1, 1, H, W) in [0, 1], how much each pixel belongs to it; None for the whole picture.
        sources: what it takes its style from, at least one.

    """

    mask: Tensor | None
    sources: tuple[Source, ...]


def normalize_weights(weights: Sequence[float]) -> list[float]:
    """Return weights that sum to 1; all the same where none weighs anything."""
    total = sum(weights)
    return [weight / total for weight in weights] if total > 0 else [1 / len(weights)] * len(weights)


def propagate_mask(mask: Mask, convolutions: Iterable[Convolution], layers: Iterable[str]) -> dict[str, Mask]:
    """Return `mask` as the layers see it: averaged over 3 x 3 positions at each convolution and 2 x 2 at each pooling.

    A position near an edge belongs to both sides as much as it sees of them: regions neither bleed nor leave a gap.

    Args:
        mask: (1, 1, H, W) in [0, 1].
        convolutions: of the network.
        layers: those wanted, such as `relu4_2`.

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
