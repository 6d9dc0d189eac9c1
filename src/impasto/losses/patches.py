"""Style as nearest neighbours of patches. Li and Wand 2016; Kolkin et al. 2022, "Neural Neighbor Style Transfer"."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.losses.base import FeatureLoss, LossSize
from impasto.ops.numerics import TINY, widen
from impasto.ops.shapes import AnyFeatures, Features, Scalar
from impasto.recipe import terms

# (C patch^2, positions) the patches of all styles, centred and of unit length.
PatchesTarget = Tensor


class Patches(FeatureLoss[PatchesTarget]):
    """The nearest-neighbour loss, which `impasto.recipe.terms.Patches` defines.

    >>> from impasto.recipe import terms
    >>> loss = Patches(terms.Patches())
    >>> style = torch.tensor([[[[1.0, -1.0]], [[1.0, -1.0]]]])  # two channels, two opposite positions
    >>> round(loss.value(3 * style, loss.target([(style, 1.0)], positions=2)).item(), 5)  # the same directions
    0.0
    >>> image = style * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)  # at right angles to both
    >>> round(loss.value(image, loss.target([(style, 1.0)], positions=2)).item(), 5)
    1.0

    """

    def __init__(self, spec: terms.Patches) -> None:
        self.patch = spec.patch

    def target(self, styles: Sequence[tuple[AnyFeatures, float]], positions: int) -> PatchesTarget:
        """Return the patches of all styles together, each relative to its style's mean."""
        del positions
        return torch.cat([self._directions(features)[0] for features, _ in styles], dim=1)

    def value(self, features: Features, target: PatchesTarget) -> Scalar:
        """Return the mean cosine distance of each patch to its nearest neighbour, summed over the batch."""
        directions = self._directions(features)
        # The gradient holds the choice of neighbours fixed.
        nearest = torch.stack([target[:, neighbours(patches, target)] for patches in directions.detach()])
        return (1 - (directions * nearest).sum(1)).mean(1).sum()

    def extra_bytes(self, size: LossSize) -> float:
        """Return the bytes of the patches of image and styles, and of one chunk of the products between them."""
        numbers = self.patch**2 * sum(width for width, _ in size.layers)
        return CHUNK_BYTES + 4 * numbers * (3 * size.pixels + size.style_pixels)

    def extra_seconds(self, size: LossSize, flops_per_second: float) -> float:
        """Return the seconds of the products of all the image's patches with all the styles'."""
        work = [
            2 * self.patch**2 * width * size.pixels * size.style_pixels / stride**2 for width, stride in size.layers
        ]
        return sum(product / flops_per_second for product in work)

    def _directions(self, features: Features) -> Tensor:
        """Return (B, C patch^2, positions) in float32 or better: the patches, centred and of unit length.

        At the border a map is continued by its outermost values, so that every position has a patch.
        """
        features = widen(features)
        centred = features - features.mean((2, 3), keepdim=True)
        if self.patch > 1:
            before, after = (self.patch - 1) // 2, self.patch // 2
            centred = F.unfold(F.pad(centred, (before, after, before, after), mode="replicate"), self.patch)
        flat = centred.flatten(2)
        # rsqrt has infinite gradient at 0; the floor gives patches equal to the mean a zero direction.
        floor = (_LENGTH_FLOOR * features.detach().square().sum(1).mean((1, 2)) * self.patch**2).clamp(min=TINY)
        return flat * (flat.square().sum(1, keepdim=True) + floor[:, None, None]).rsqrt()


def neighbours(patches: Tensor, target: PatchesTarget) -> Tensor:
    """Return the index of the nearest neighbour of each patch: the column of `target` with the largest cosine.

    It works in chunks: the cosines of all positions with all others would take 1 GB at relu3_1 of 512 px.

    Args:
        patches: (C patch^2, positions) of unit length.
        target: (C patch^2, style positions) of unit length.

    Returns:
        (positions,) indices.


    """
    rows = max(1, CHUNK_BYTES // (target.element_size() * target.shape[1]))
    return torch.cat([(chunk.mT @ target).argmax(1) for chunk in torch.split(patches, rows, dim=1)])


# Ours: large enough for matrix products at full speed, small beside the features.
CHUNK_BYTES = 64 * 2**20
# Ours: patches shorter than a ten-thousandth of the features' root mean square have no meaningful direction.
_LENGTH_FLOOR = 1e-8
