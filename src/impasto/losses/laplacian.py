"""The Laplacian loss of Li, Xu, Nie and Liu 2017, "Laplacian-Steered Neural Style Transfer"."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from impasto.losses.base import PhotoLoss
from impasto.ops.shapes import Image, Scalar
from impasto.recipe import terms


class LaplacianTarget(NamedTuple):
    """The photo's Laplacian, and the factor on the squared distance."""

    laplacian: Tensor
    scale: Tensor


class Laplacian(PhotoLoss[LaplacianTarget]):
    """The Laplacian loss, which `impasto.recipe.terms.Laplacian` defines.

    >>> import torch
    >>> from impasto.recipe import terms
    >>> loss = Laplacian(terms.Laplacian(pool=1))
    >>> photo = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> loss.value(photo + 0.5, loss.target(photo)).item() < 1e-6  # an even shift moves no edge
    True
    >>> round(loss.value(0 * photo, loss.target(photo)).item(), 4)  # no edges at all
    1.0

    """

    def __init__(self, spec: terms.Laplacian) -> None:
        self.pool = spec.pool

    def target(self, photo: Image) -> LaplacianTarget:
        """Return the photo's Laplacian and the inverse of its mean square."""
        laplacian = self._laplacian(photo)
        return LaplacianTarget(laplacian, 1 / laplacian.square().mean().clamp(min=_FLOOR))

    def value(self, image: Image, target: LaplacianTarget) -> Scalar:
        """Return the squared distance between the Laplacians, relative to the photo's energy."""
        return (self._laplacian(image) - target.laplacian).square().mean() * target.scale

    def _laplacian(self, image: Image) -> Tensor:
        # Sizes are rounded up, so that no pixel at the border is left out.
        pooled = F.avg_pool2d(image, self.pool, ceil_mode=True, count_include_pad=False)
        wide = F.pad(pooled, (1, 1, 1, 1), mode="replicate")
        rows = wide[:, :, :-2, 1:-1] + wide[:, :, 2:, 1:-1]
        return rows + wide[:, :, 1:-1, :-2] + wide[:, :, 1:-1, 2:] - 4 * pooled


# Ours: the energy of a photo without edges is taken to be that of edges of one level of 255.
_FLOOR = (1 / 255) ** 2
