"""Moments of features: sums over positions, from which every style statistic follows.

The sums are additive: the moments of a picture are those of its tiles added, and those of a blend of styles are
weighted sums of theirs. So a loss that needs moments only works with tiles, masks and blends without code of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.ops.numerics import has_mixed_products, wide_dtype, widen
from impasto.ops.shapes import Count, Features, Mask, Matrix, Vector


@dataclass(frozen=True, eq=False)
class Moments:
    """The number of positions, and the sums of the features and of their outer products over them.

    >>> import torch
    >>> m = moments(torch.tensor([[[[1.0, 3.0]]]]))
    >>> m.mean.item(), m.covariance.item(), m.gram.item()
    (2.0, 1.0, 5.0)
    >>> (m + m).mean.item()
    2.0

    Attributes:
        count: (B,) number of positions, M in the paper.
        total: (B, C) sum of the feature vectors.
        outer: (B, C, C) sum of their outer products: the paper's raw Gram matrix F F^T.

    """

    count: Count
    total: Vector
    outer: Matrix

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of positions together."""
        return Moments(self.count + other.count, self.total + other.total, self.outer + other.outer)

    def scaled(self, factor: float) -> "Moments":
        """Return the moments with every position counted `factor` times."""
        return Moments(self.count * factor, self.total * factor, self.outer * factor)

    def detach(self) -> "Moments":
        """Return the moments without their autograd history."""
        return Moments(self.count.detach(), self.total.detach(), self.outer.detach())

    @property
    def mean(self) -> Vector:
        """(B, C) mean feature vector."""
        return self.total / self.count[:, None]

    @property
    def gram(self) -> Matrix:
        """(B, C, C) Gram matrix per position, G / M: the second moment, its mean not removed."""
        return self.outer / self.count[:, None, None]

    @property
    def covariance(self) -> Matrix:
        """(B, C, C) covariance matrix, normalised by the number of positions."""
        return self.gram - self.mean[:, :, None] * self.mean[:, None, :]


def moments(features: Features, mask: Mask | None = None) -> Moments:
    """Return the moments of `features` over all positions, in float32 or better.

    Sums of thousands of products would overflow float16 and lose all digits in bfloat16, so they are never taken in
    half precision.

    Args:
        features: (B, C, h, w).
        mask: (1, 1, h, w) weights of the positions, at least 0; None for 1 everywhere.

    """
    wide = wide_dtype(features.dtype)
    total, outer = _Sums.apply(features, mask)  # type: ignore[no-untyped-call]
    count = features.new_full((features.shape[0],), features.shape[2] * features.shape[3], dtype=wide)
    if mask is not None:
        count = mask.to(wide).sum().expand_as(count)
    return Moments(count, total, outer)


class _Sums(torch.autograd.Function):
    """Sums of the features and of their outer products, with both gradients in one matrix product."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(features, mask)
        if mask is None and has_mixed_products(features):
            flat = _flat(features)
            return flat.sum(2, dtype=torch.float32), torch.bmm(flat, flat.mT, out_dtype=torch.float32)
        flat = _flat(widen(features))
        if mask is None:
            return flat.sum(2), flat @ flat.mT
        weighted = flat * _flat(widen(mask))
        return weighted.sum(2), weighted @ flat.mT

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        features, mask = ctx.saved_tensors
        total, outer = gradients
        # d(F F^T) = dF F^T + F dF^T
        both = outer + outer.mT
        is_mixed = mask is None and has_mixed_products(features)
        if features.is_contiguous() or (features.device.type == "cpu" and not is_mixed):
            gradient = torch.baddbmm(total[:, :, None], both, _flat(widen(features)))
            if mask is not None:
                gradient *= _flat(widen(mask))
            return gradient.view_as(features).to(features.dtype), None
        # The gradient has the layout of the features, so that a GPU adds it fast to that of the layers above.
        if is_mixed:
            rows = _flat(features).mT
            # Two parts of half precision have 16 bits together, more than TF32.
            upper = both.to(features.dtype)
            lower = (both - upper).to(features.dtype)
            gradient = torch.bmm(rows, upper, out_dtype=torch.float32).add_(
                torch.bmm(rows, lower, out_dtype=torch.float32)
            )
            gradient += total[:, None, :]
        else:
            gradient = torch.baddbmm(total[:, None, :], _flat(widen(features)).mT, both)
        if mask is not None:
            gradient *= _flat(widen(mask)).mT
        batch, channels, height, width = features.shape
        return gradient.view(batch, height, width, channels).permute(0, 3, 1, 2).to(features.dtype), None


def _flat(features: Tensor) -> Tensor:
    """Return (B, C, M), without a copy in either memory layout."""
    if features.is_contiguous():
        return features.flatten(2)
    return features.permute(0, 2, 3, 1).flatten(1, 2).mT


def blend(parts: Iterable[tuple[Moments, float]]) -> Moments:
    """Return the moments of a mixture, in which each part has the weight that it is given.

    Args:
        parts: moments of one picture each (B = 1) and their weights, which need not sum to 1.

    Returns:
        Moments whose `count` is the sum of the weights.

    """
    shares = [part.scaled(weight / float(part.count.item())) for part, weight in parts]
    result = shares[0]
    for share in shares[1:]:
        result = result + share
    return result
