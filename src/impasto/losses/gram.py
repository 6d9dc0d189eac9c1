"""Style as Gram matrices. Gatys et al. 2016, equations 3 and 4."""

from typing import NamedTuple

from torch import Tensor

from impasto.losses.base import MomentLoss
from impasto.ops.moments import Moments
from impasto.ops.numerics import TINY
from impasto.ops.shapes import Matrix, Scalar
from impasto.recipe import terms


class GramTarget(NamedTuple):
    """The style's Gram matrix per position, and what its distance is multiplied by."""

    gram: Matrix
    scale: Tensor | float


class Gram(MomentLoss[GramTarget]):
    """See `impasto.recipe.terms.Gram`."""

    def __init__(self, spec: terms.Gram) -> None:
        self.form = spec.form

    def target(self, moments: Moments) -> GramTarget:
        """Return the style's Gram matrix and the scale of the chosen form."""
        gram = moments.gram
        channels = gram.shape[-1]
        if self.form == "literal":
            # E_l = sum (G - A)^2 / (4 N^2 M^2) = sum (G/M - A/M)^2 / (4 N^2), where G and A have the same M.
            return GramTarget(gram, 1 / (4 * channels**2))
        if self.form == "mean":
            return GramTarget(gram, 1 / channels**2)
        return GramTarget(gram, 1 / gram.square().sum().clamp(min=TINY))

    def value(self, moments: Moments, target: GramTarget) -> Scalar:
        """Return the scaled sum of squared differences between the Gram matrices per position."""
        return (moments.gram - target.gram).square().sum() * target.scale
