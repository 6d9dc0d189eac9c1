"""Content as lines and edges. Li, Xu, Nie and Liu 2017, "Laplacian-Steered Neural Style Transfer"."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from impasto.losses.base import PhotoLoss
from impasto.ops.shapes import Image, Scalar
from impasto.recipe import terms


class LaplacianTarget(NamedTuple):
    """The photo's Laplacian, and what the distance to it is multiplied by."""

    laplacian: Tensor
    scale: Tensor


class Laplacian(PhotoLoss[LaplacianTarget]):
    """See `impasto.recipe.terms.Laplacian`."""

    def __init__(self, spec: terms.Laplacian) -> None:
        self.pool = spec.pool

    def target(self, photo: Image) -> LaplacianTarget:
        """Return the photo's Laplacian and the inverse of its mean square."""
        laplacian = self._laplacian(photo)
        return LaplacianTarget(laplacian, 1 / laplacian.square().mean().clamp(min=_FLOOR))

    def value(self, image: Image, target: LaplacianTarget) -> Scalar:
        """Return the squared distance between the Laplacians, relative to the photo's own."""
        return (self._laplacian(image) - target.laplacian).square().mean() * target.scale

    def _laplacian(self, image: Image) -> Tensor:
        # Rounded up, so that no border pixel goes unseen.
        pooled = F.avg_pool2d(image, self.pool, ceil_mode=True, count_include_pad=False)
        wide = F.pad(pooled, (1, 1, 1, 1), mode="replicate")
        rows = wide[:, :, :-2, 1:-1] + wide[:, :, 2:, 1:-1]
        return rows + wide[:, :, 1:-1, :-2] + wide[:, :, 1:-1, 2:] - 4 * pooled


# Ours: a photo without edges is measured against an edge of one level of 255 instead.
_FLOOR = (1 / 255) ** 2
