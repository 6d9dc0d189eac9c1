"""Style as means and covariances, each measured against the style's own. Ours; see docs/recipes.md."""

from typing import NamedTuple

from torch import Tensor

from impasto.losses.base import MomentLoss
from impasto.ops.moments import Moments
from impasto.ops.numerics import TINY
from impasto.ops.shapes import Matrix, Scalar, Vector
from impasto.recipe import terms


class MeanCovarianceTarget(NamedTuple):
    """The style's mean and covariance, and what their distances are divided by."""

    mean: Vector
    covariance: Matrix
    mean_norm: Tensor
    covariance_norm: Tensor


class MeanCovariance(MomentLoss[MeanCovarianceTarget]):
    """See `impasto.recipe.terms.MeanCovariance`."""

    def __init__(self, spec: terms.MeanCovariance) -> None:
        del spec  # it has no settings but its layers

    def target(self, moments: Moments) -> MeanCovarianceTarget:
        """Return the style's mean, covariance and their squared norms."""
        mean, covariance = moments.mean, moments.covariance
        mean_norm = mean.square().sum().clamp(min=TINY)
        # A style of one colour has no covariance to be measured against; a hundredth of its mean's outer product, whose
        # norm is the squared norm of the mean, bounds the loss. Paintings lie far above it.
        floor = (_COVARIANCE_FLOOR * mean_norm) ** 2
        covariance_norm = covariance.square().sum().clamp(min=floor.item())
        return MeanCovarianceTarget(mean, covariance, mean_norm, covariance_norm)

    def value(self, moments: Moments, target: MeanCovarianceTarget) -> Scalar:
        """Return the relative squared distance of the means plus that of the covariances."""
        mean = (moments.mean - target.mean).square().sum() / target.mean_norm
        covariance = (moments.covariance - target.covariance).square().sum() / target.covariance_norm
        return mean + covariance


# Ours. Over all sample pictures at 256 px the smallest ||C|| / ||mu||^2 of any layer is 0.075 (the cat's pixels).
_COVARIANCE_FLOOR = 0.01
