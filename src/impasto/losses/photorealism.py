"""The photorealism loss of Luan et al. 2017, with the matting Laplacian of Levin, Lischinski and Weiss 2008.

For a window of 9 pixels with colours I in the photo and values V in one channel of the image, V^T M V is the residual
of the best affine map, summed over windows: min over a, b of sum (V_i - a . I_i - b)^2 + eps |a|^2 (Levin et al.,
theorem 1). Its gradient is that at the best a and b, held fixed, so the matrix M is never built.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx
from torch.nn import functional as F

from impasto.losses.base import LossSize, PhotoLoss
from impasto.ops.numerics import with_float64
from impasto.ops.shapes import Image, Scalar
from impasto.recipe import terms


class PhotorealismTarget(NamedTuple):
    """The photo, and the mean and the inverse covariance of its colours in every window."""

    photo: Tensor
    mean: Tensor  # (B, 3, H - 2, W - 2)
    inverse: Tensor  # of the covariance plus a ridge


class Photorealism(PhotoLoss[PhotorealismTarget]):
    """The photorealism loss, which `impasto.recipe.terms.Photorealism` defines.

    >>> from impasto.recipe import terms
    >>> loss = Photorealism(terms.Photorealism())
    >>> photo = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> target = loss.target(photo)
    >>> loss.value(0.2 + 0.5 * photo.flip(1), target).item() < 1e-6  # an affine map of the photo's colours
    True
    >>> loss.value(photo.flip(2), target).item() > 0.01  # its lines upside down
    True

    """

    def __init__(self, spec: terms.Photorealism) -> None:
        self.epsilon = spec.epsilon

    def target(self, photo: Image) -> PhotorealismTarget:
        """Return the photo, and mean and inverse covariance of its windows."""
        if min(photo.shape[2:]) < _SIDE:
            return PhotorealismTarget(photo, photo, photo)
        mean = F.avg_pool2d(photo, _SIDE, 1)
        batch, _, height, width = mean.shape
        covariance = photo.new_zeros(batch, height, width, 3, 3)
        for part in _shifted_views(photo):
            away = (part - mean).movedim(1, -1)
            covariance += away[..., :, None] * away[..., None, :] / _COUNT
        ridge = self.epsilon / _COUNT * torch.eye(3, dtype=photo.dtype, device=photo.device)
        return PhotorealismTarget(photo, mean, _inverse(covariance + ridge))

    def value(self, image: Image, target: PhotorealismTarget) -> Scalar:
        """Return the mean square residual of the affine maps; 0 for an image smaller than a window."""
        if min(image.shape[2:]) < _SIDE:
            return 0 * image.sum()
        energy: Tensor = _Energy.apply(image, self.epsilon, *target)  # type: ignore[no-untyped-call]
        return energy / (_COUNT * target.mean.numel())

    def extra_bytes(self, size: LossSize) -> float:
        """Return the bytes of the windows' statistics."""
        return size.pixels * _BYTES_PER_PIXEL


class _Energy(torch.autograd.Function):
    """The sum of V^T M V over channels; its gradient 2 M V is computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, image: Tensor, epsilon: float, photo: Tensor, mean: Tensor, inverse: Tensor
    ) -> Tensor:
        level = F.avg_pool2d(image, _SIDE, 1)
        # Relative to the windows' means: differences of large products would lose the digits of an even window.
        windows = list(zip(_shifted_views(image), _shifted_views(photo), strict=True))
        covariance = image.new_zeros(*inverse.shape)  # of the photo's channels (rows) with the image's (columns)
        for values, colours in windows:
            away, there = (colours - mean).movedim(1, -1), (values - level).movedim(1, -1)
            covariance += away[..., :, None] * there[..., None, :] / _COUNT
        affine = inverse @ covariance
        energy: Tensor = epsilon * affine.square().sum()
        slope = torch.zeros_like(image)
        for (values, colours), into in zip(windows, _shifted_views(slope), strict=True):
            explained = ((colours - mean).movedim(1, -1)[..., None, :] @ affine)[..., 0, :].movedim(-1, 1)
            residual = values - level - explained
            energy = energy + residual.square().sum()
            into.add_(residual, alpha=2)
        ctx.save_for_backward(slope)
        return energy

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        scaled: Tensor = gradients[0] * slope
        return scaled, None, None, None, None


def _shifted_views(image: Tensor) -> Iterator[Tensor]:
    """Yield nine views of the image: the first pixel of every window, the second, and so on."""
    height, width = (side - _SIDE + 1 for side in image.shape[2:])
    for row in range(_SIDE):
        for column in range(_SIDE):
            yield image[:, :, row : row + height, column : column + width]


def _inverse(matrix: Tensor) -> Tensor:
    """Return the inverse of symmetric 3 x 3 matrices, computed in float64 since they may be nearly singular."""
    inverse: Tensor = torch.linalg.inv(with_float64(matrix).double()).to(matrix.dtype)
    return inverse.to(matrix.device)


# Ours, measured at 384 px: the increase of an evaluation's peak.
_BYTES_PER_PIXEL = 480.0
# Levin, Lischinski and Weiss 2008: windows of 3 x 3.
_SIDE = 3
_COUNT = _SIDE**2
