"""Style as Gaussians, compared by the Wasserstein-2 distance.

Source of the idea: crowsonkb/style-transfer-pytorch; of the distance between Gaussians: Dowson and Landau 1982.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.losses.base import MomentLoss
from impasto.ops import color_transfer
from impasto.ops.moments import Moments
from impasto.ops.numerics import TINY, with_float64
from impasto.ops.shapes import Matrix, Scalar, Vector
from impasto.recipe import terms


class WassersteinTarget(NamedTuple):
    """The style's mean, the trace and root of its covariance, the ridge, and what the distance is divided by."""

    mean: Vector
    trace: Tensor  # (B,) of the covariance
    root: Matrix
    ridge: Tensor  # (B,) added to the diagonal of both covariances
    scale: Tensor  # (B,)


class Wasserstein(MomentLoss[WassersteinTarget]):
    """See `impasto.recipe.terms.Wasserstein`."""

    def __init__(self, spec: terms.Wasserstein) -> None:
        self.form = spec.form

    def target(self, moments: Moments) -> WassersteinTarget:
        """Return the style's statistics; the root of its covariance is taken once."""
        mean, covariance = moments.mean, moments.covariance
        spread = _trace(covariance)
        energy = mean.square().sum(1) + spread
        # crowsonkb: 1e-4 on the diagonal at features whose mean square is about 1; relative here, for any scale. It
        # keeps the root's slope finite where a covariance is singular.
        ridge = (_RIDGE * energy / mean.shape[1]).clamp(min=TINY)
        covariance = _with_ridge(covariance, ridge)
        scale = mean.shape[1] * torch.ones_like(energy) if self.form == "mean" else energy.clamp(min=TINY)
        return WassersteinTarget(mean, _trace(covariance), color_transfer.root(covariance), ridge, scale)

    def value(self, moments: Moments, target: WassersteinTarget) -> Scalar:
        """Return the scaled distance, summed over the batch."""
        covariance = _with_ridge(moments.covariance, target.ridge)
        product = target.root @ covariance @ target.root
        # The derivative of eigenvalues needs no gaps between them, unlike that of eigenvectors: it is never infinite.
        symmetric = (product + product.mT) / 2
        try:
            eigenvalues = torch.linalg.eigvalsh(with_float64(symmetric)).to(symmetric.device)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Of what is no number there are none; the loss then is none either, as with every other loss.
            eigenvalues = symmetric.diagonal(dim1=1, dim2=2) * float("nan")
        floor = (target.ridge**2)[:, None]
        overlap = torch.maximum(eigenvalues, floor).sqrt().sum(1)
        shift = (moments.mean - target.mean).square().sum(1)
        distance = shift + _trace(covariance) + target.trace - 2 * overlap
        return (distance / target.scale).sum()


_RIDGE = 1e-4


def _trace(matrix: Matrix) -> Tensor:
    return torch.einsum("bii->b", matrix)


def _with_ridge(matrix: Matrix, ridge: Tensor) -> Matrix:
    return matrix + ridge[:, None, None] * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
