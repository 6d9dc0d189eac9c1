"""Colour statistics, carried from one picture to another."""

import torch

from impasto.moments import Moments, moments
from impasto.types import Image, Matrix


def match(image: Image, colors: Moments, own: Moments | None = None) -> Image:
    """Return `image` with the mean and covariance of its colours changed to those of `colors`, clamped to [0, 1].

    The linear map is the Monge-Kantorovich one: of all that do this, it moves colours least (Pitie and Kokaram 2007).

    Args:
        image: (1, 3, H, W) sRGB in [0, 1].
        colors: moments of the sRGB pixels to be matched, C = 3.
        own: moments of those of the image's that are to match, in float64; of all of them if left out.

    """
    own = own or moments(image.double())
    own_root = root(_with_ridge(own.covariance))
    inverse = torch.linalg.inv(own_root)
    transport: Matrix = inverse @ root(own_root @ _with_ridge(colors.covariance.to(own_root)) @ own_root) @ inverse
    centred = image.double().flatten(2) - own.mean[:, :, None]
    matched: Image = transport @ centred + colors.mean.to(own_root)[:, :, None]
    return matched.view_as(image).clamp(0, 1).type_as(image)


def root(matrix: Matrix) -> Matrix:
    """Return the symmetric root of symmetric positive semidefinite matrices."""
    # Metal has no eigenvalues.
    eigenvalues, vectors = torch.linalg.eigh(matrix.cpu() if matrix.device.type == "mps" else matrix)
    result: Matrix = (vectors * eigenvalues.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
    return result.to(matrix.device)


def _with_ridge(covariance: Matrix) -> Matrix:
    # A picture of one colour has no spread to be scaled; 1e-6, a quarter of an 8-bit level squared, stands in for it.
    return covariance + _RIDGE * torch.eye(3, dtype=covariance.dtype, device=covariance.device)


_RIDGE = 1e-6
