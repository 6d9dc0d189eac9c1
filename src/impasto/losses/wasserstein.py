"""Style as Gaussians of features, compared by the Wasserstein-2 distance.

The loss is that of crowsonkb's style-transfer-pytorch, the distance between Gaussians that of Dowson and Landau 1982.
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
    """The style's mean, the trace and root of its covariance, and the scales of the distance."""

    mean: Vector
    trace: Tensor  # (B,) of the covariance
    root: Matrix
    ridge: Tensor  # (B,) added to the diagonal of both covariances
    scale: Tensor  # (B,) that the distance is divided by


class Wasserstein(MomentLoss[WassersteinTarget]):
    """The Wasserstein-2 loss in one of its forms, which `impasto.recipe.terms.Wasserstein` defines.

    >>> from impasto.ops.moments import moments
    >>> from impasto.recipe import terms
    >>> loss = Wasserstein(terms.Wasserstein(form="mean"))
    >>> target = loss.target(moments(torch.tensor([[[[1.0, 3.0]]]])))  # mean 2, deviation 1
    >>> image = moments(torch.tensor([[[[2.0, 8.0]]]]))  # mean 5, deviation 3
    >>> round(loss.value(image, target).item(), 2)  # (5 - 2)^2 + (3 - 1)^2
    13.0

    """

    capturable = False  # the eigenvalues are checked on the CPU

    def __init__(self, spec: terms.Wasserstein) -> None:
        self.form = spec.form

    def target(self, moments: Moments) -> WassersteinTarget:
        """Return the style's statistics; the root of its covariance is computed once, here."""
        mean, covariance = moments.mean, moments.covariance
        spread = _trace(covariance)
        energy = mean.square().sum(1) + spread
        # crowsonkb adds 1e-4 to the diagonals of features whose mean square is about 1; relative here, for any scale.
        # It keeps the root's gradient finite where a covariance is singular.
        ridge = (_RIDGE * energy / mean.shape[1]).clamp(min=TINY)
        covariance = _with_ridge(covariance, ridge)
        scale = mean.shape[1] * torch.ones_like(energy) if self.form == "mean" else energy.clamp(min=TINY)
        return WassersteinTarget(mean, _trace(covariance), color_transfer.root(covariance), ridge, scale)

    def value(self, moments: Moments, target: WassersteinTarget) -> Scalar:
        """Return the distance divided by the form's scale, summed over the batch."""
        covariance = _with_ridge(moments.covariance, target.ridge)
        product = target.root @ covariance @ target.root
        # The derivative of eigenvalues, unlike that of eigenvectors, is finite also where two are equal.
        symmetric = (product + product.mT) / 2
        try:
            eigenvalues = torch.linalg.eigvalsh(with_float64(symmetric)).to(symmetric.device)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # A matrix that is not finite has no eigenvalues; the loss becomes NaN, like every other loss of such
            # features.
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
