"""Style as nearest neighbours. Li and Wand 2016; Kolkin et al. 2022, "Neural Neighbor Style Transfer"."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.losses.base import FeatureLoss, LossSize
from impasto.ops.numerics import TINY, widen
from impasto.ops.shapes import AnyFeatures, Features, Scalar
from impasto.recipe import terms

# (C patch^2, positions) the patches of all styles, centred and of length 1.
PatchesTarget = Tensor


class Patches(FeatureLoss[PatchesTarget]):
    """See `impasto.recipe.terms.Patches`."""

    def __init__(self, spec: terms.Patches) -> None:
        self.patch = spec.patch

    def target(self, styles: Sequence[tuple[AnyFeatures, float]], positions: int) -> PatchesTarget:
        """Return the patches of all styles together, each style's counted from its own mean."""
        del positions
        return torch.cat([self._directions(features)[0] for features, _ in styles], dim=1)

    def value(self, features: Features, target: PatchesTarget) -> Scalar:
        """Return the mean cosine distance of each patch to its nearest neighbour, summed over the batch."""
        directions = self._directions(features)
        # A minimum's slope is that of the neighbour it is taken at: none goes through the choice.
        nearest = torch.stack([target[:, neighbours(patches, target)] for patches in directions.detach()])
        return (1 - (directions * nearest).sum(1)).mean(1).sum()

    def extra_bytes(self, size: LossSize) -> float:
        """Return the bytes of the patches of image and styles, and of a chunk of the products between them."""
        numbers = self.patch**2 * sum(width for width, _ in size.layers)
        return CHUNK_BYTES + 4 * numbers * (3 * size.pixels + size.style_pixels)

    def extra_seconds(self, size: LossSize, flops_per_second: float) -> float:
        """Return the seconds of the products of all patches with all the styles'."""
        work = [
            2 * self.patch**2 * width * size.pixels * size.style_pixels / stride**2 for width, stride in size.layers
        ]
        return sum(product / flops_per_second for product in work)

    def _directions(self, features: Features) -> Tensor:
        """Return (B, C patch^2, positions) in float32 or better, each patch of length 1.

        A map goes on with its border at its border: each position has a patch, however small the map is.
        """
        features = widen(features)
        centred = features - features.mean((2, 3), keepdim=True)
        if self.patch > 1:
            before, after = (self.patch - 1) // 2, self.patch // 2
            centred = F.unfold(F.pad(centred, (before, after, before, after), mode="replicate"), self.patch)
        flat = centred.flatten(2)
        # The root's slope is infinite at 0: a position that says what all say has no direction, and none is sought.
        floor = (_LENGTH_FLOOR * features.detach().square().sum(1).mean((1, 2)) * self.patch**2).clamp(min=TINY)
        return flat * (flat.square().sum(1, keepdim=True) + floor[:, None, None]).rsqrt()


def neighbours(patches: Tensor, target: PatchesTarget) -> Tensor:
    """Return (positions,) for each of `patches`, (N, positions), the column of `target` of the largest cosine.

    In chunks: a matrix of all positions by all would take 1 GB at relu3_1 of 512 px.
    """
    rows = max(1, CHUNK_BYTES // (target.element_size() * target.shape[1]))
    return torch.cat([(chunk.mT @ target).argmax(1) for chunk in torch.split(patches, rows, dim=1)])


# Ours: large enough for matrix products at full speed, small beside the features.
CHUNK_BYTES = 64 * 2**20
# Ours: a patch shorter than a ten-thousandth of the features' root mean square points nowhere.
_LENGTH_FLOOR = 1e-8
