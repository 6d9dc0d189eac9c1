"""The style loss of Gatys et al. 2016, equations 3 and 4: squared distance between Gram matrices."""

from typing import NamedTuple

from torch import Tensor

from impasto.losses.base import MomentLoss
from impasto.ops.moments import Moments
from impasto.ops.numerics import TINY
from impasto.ops.shapes import Matrix, Scalar
from impasto.recipe import terms


class GramTarget(NamedTuple):
    """The style's Gram matrix per position, and the factor on the squared distance."""

    gram: Matrix
    scale: Tensor | float


class Gram(MomentLoss[GramTarget]):
    """The Gram loss in one of its forms, which `impasto.recipe.terms.Gram` defines.

    >>> import torch
    >>> from impasto.ops.moments import moments
    >>> from impasto.recipe import terms
    >>> loss = Gram(terms.Gram(form="mean"))
    >>> target = loss.target(moments(torch.tensor([[[[1.0, 3.0]]]])))  # A / M = (1 + 9) / 2 = 5
    >>> loss.value(moments(torch.tensor([[[[1.0, 1.0]]]])), target).item()  # G / M = 1
    16.0

    """

    def __init__(self, spec: terms.Gram) -> None:
        self.form = spec.form

    def target(self, moments: Moments) -> GramTarget:
        """Return the style's Gram matrix and the factor of the form."""
        gram = moments.gram
        channels = gram.shape[-1]
        if self.form == "literal":
            # E_l = sum (G - A)^2 / (4 N^2 M^2) = sum (G/M - A/M)^2 / (4 N^2), where G and A have the same M.
            return GramTarget(gram, 1 / (4 * channels**2))
        if self.form == "mean":
            return GramTarget(gram, 1 / channels**2)
        return GramTarget(gram, 1 / gram.square().sum().clamp(min=TINY))

    def value(self, moments: Moments, target: GramTarget) -> Scalar:
        """Return the squared distance between the Gram matrices per position, times the form's factor."""
        return (moments.gram - target.gram).square().sum() * target.scale
