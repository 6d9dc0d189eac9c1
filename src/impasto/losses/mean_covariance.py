"""Style as means and covariances of features, each relative to the style's own. Ours; see docs/recipes.md."""

from typing import NamedTuple

from torch import Tensor

from impasto.losses.base import MomentLoss
from impasto.ops.moments import Moments
from impasto.ops.numerics import TINY
from impasto.ops.shapes import Matrix, Scalar, Vector
from impasto.recipe import terms


class MeanCovarianceTarget(NamedTuple):
    """The style's mean and covariance, and their squared norms."""

    mean: Vector
    covariance: Matrix
    mean_norm: Tensor
    covariance_norm: Tensor


class MeanCovariance(MomentLoss[MeanCovarianceTarget]):
    """The mean and covariance loss, which `impasto.recipe.terms.MeanCovariance` defines.

    >>> import torch
    >>> from impasto.ops.moments import moments
    >>> from impasto.recipe import terms
    >>> loss = MeanCovariance(terms.MeanCovariance())
    >>> target = loss.target(moments(torch.tensor([[[[1.0, 3.0]]]])))  # mean 2, variance 1
    >>> loss.value(moments(torch.tensor([[[[4.0, 4.0]]]])), target).item()  # 2^2 / 2^2 + 1^2 / 1^2
    2.0

    """

    def __init__(self, spec: terms.MeanCovariance) -> None:
        del spec  # it has no settings beyond its layers

    def target(self, moments: Moments) -> MeanCovarianceTarget:
        """Return the style's mean and covariance, and their squared norms."""
        mean, covariance = moments.mean, moments.covariance
        mean_norm = mean.square().sum().clamp(min=TINY)
        # A style of one colour has no covariance to be relative to. A hundredth of its mean's outer product, whose norm
        # is the squared norm of the mean, bounds the loss; paintings lie far above it.
        floor = (_COVARIANCE_FLOOR * mean_norm) ** 2
        covariance_norm = covariance.square().sum().clamp(min=floor.item())
        return MeanCovarianceTarget(mean, covariance, mean_norm, covariance_norm)

    def value(self, moments: Moments, target: MeanCovarianceTarget) -> Scalar:
        """Return the relative squared distance of the means plus that of the covariances."""
        mean = (moments.mean - target.mean).square().sum() / target.mean_norm
        covariance = (moments.covariance - target.covariance).square().sum() / target.covariance_norm
        return mean + covariance


# Ours. Over all sample pictures at 256 px, the smallest ||C|| / ||mu||^2 of any layer is 0.075 (the cat's pixels).
_COVARIANCE_FLOOR = 0.01
