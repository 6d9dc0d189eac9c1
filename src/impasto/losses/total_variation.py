"""Total variation: differences between neighbouring pixels. Rudin, Osher and Fatemi 1992, anisotropic form."""

from typing import Any

import torch
from torch import Tensor

from impasto.losses.base import ImageLoss
from impasto.ops.shapes import Image, Scalar
from impasto.recipe import terms


class TotalVariation(ImageLoss):
    """Total variation in one of its forms, which `impasto.recipe.terms.TotalVariation` defines.

    >>> from impasto.recipe import terms
    >>> image = torch.tensor([0.0, 0.5]).expand(1, 3, 2, 2)  # rows 0, 0.5
    >>> TotalVariation(terms.TotalVariation()).value(image).item()  # 0.5^2 along rows, 0 along columns
    0.25

    """

    def __init__(self, spec: terms.TotalVariation) -> None:
        self.form = spec.form

    def value(self, image: Image) -> Scalar:
        """Return the difference along rows plus that along columns; 0 along a side of one pixel."""
        value: Scalar = _Variation.apply(image, self.form)  # type: ignore[no-untyped-call]
        return value


class _Variation(torch.autograd.Function):
    """The value, with a gradient that takes two images of memory; autograd's takes seven at its peak."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, form: str) -> Tensor:
        ctx.save_for_backward(image)
        ctx.form = form
        total = image.new_zeros(())
        for axis in (3, 2):
            size = image.diff(dim=axis)
            if size.numel():
                size = size.square_() if form == "squared" else size.abs_()
                total += 255 * size.sum() if form == "sum" else size.mean()
            del size
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (image,) = ctx.saved_tensors
        (slope,) = slopes
        result = torch.zeros_like(image)
        for axis in (3, 2):
            difference, last = image.diff(dim=axis), image.shape[axis] - 1
            if not difference.numel():
                continue
            if ctx.form == "squared":
                difference.mul_(2)
            else:
                difference.sign_()
            difference.mul_(255 * slope if ctx.form == "sum" else slope / difference.numel())
            result.narrow(axis, 1, last).add_(difference)
            result.narrow(axis, 0, last).sub_(difference)
            del difference
        return result, None
