"""The histogram loss of Risser, Wilmot and Barnes 2017, channel by channel."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.losses.base import FeatureLoss, LossSize
from impasto.ops.numerics import TINY, widen, with_float64
from impasto.ops.shapes import AnyFeatures, Features, Scalar
from impasto.recipe import terms


class HistogramTarget(NamedTuple):
    """The style's quantiles, and the factor on the distance to them."""

    quantiles: Tensor  # (C, positions), each row ascending
    scale: Tensor


class Histogram(FeatureLoss[HistogramTarget]):
    """The histogram loss, which `impasto.recipe.terms.Histogram` defines.

    >>> from impasto.recipe import terms
    >>> loss = Histogram(terms.Histogram())
    >>> style = torch.tensor([[[[3.0, 4.0]]]])  # mean square 12.5
    >>> image = torch.tensor([[[[9.0, 3.0]]]])  # sorted: 3, 9; mean squared distance (0 + 25) / 2
    >>> loss.value(image, loss.target([(style, 1.0)], positions=2)).item()
    1.0

    """

    def __init__(self, spec: terms.Histogram) -> None:
        del spec  # it has no settings beyond its layers

    def target(self, styles: Sequence[tuple[AnyFeatures, float]], positions: int) -> HistogramTarget:
        """Return the quantiles of the styles' values, mixed by weight, at `positions` evenly spaced levels."""
        flat = [(_flat(features)[0], weight) for features, weight in styles]
        energy = torch.stack([weight * values.square().mean() for values, weight in flat]).sum()
        device = flat[0][0].device
        values = with_float64(torch.cat([row for row, _ in flat], dim=1))
        host = values.device
        shares = torch.cat(
            [torch.full((row.shape[1],), weight / row.shape[1], dtype=torch.float64) for row, weight in flat]
        ).to(host)
        levels = (torch.arange(positions, dtype=torch.float64, device=host) + 0.5) / positions
        # One channel at a time: all of them in float64 would take twice the memory of the features.
        quantiles = torch.stack([_quantiles(channel, shares, levels) for channel in values])
        return HistogramTarget(quantiles.to(device), 1 / energy.clamp(min=TINY))

    def value(self, features: Features, target: HistogramTarget) -> Scalar:
        """Return the mean squared distance of the sorted values to the quantiles, relative, summed over the batch.

        The gradient holds the order fixed: each value is drawn to the quantile of its present rank.
        """
        rising = _flat(features).sort(dim=2).values
        return (rising - target.quantiles).square().mean((1, 2)).sum() * target.scale

    def extra_bytes(self, size: LossSize) -> float:
        """Return the bytes of the sorted values and their order."""
        return size.pixels * _BYTES_PER_SORTED * sum(width for width, _ in size.layers)

    def extra_seconds(self, size: LossSize, flops_per_second: float) -> float:
        """Return the seconds of sorting."""
        return size.pixels * _SECONDS_PER_SORTED * sum(width for width, _ in size.layers)


def _quantiles(values: Tensor, shares: Tensor, levels: Tensor) -> Tensor:
    """Return quantiles of weighted values at `levels`, by linear interpolation between the middles of their shares."""
    values, order = values.sort()
    ends = shares[order].cumsum(0)
    middles = ends - shares[order] / 2
    above = torch.searchsorted(middles, levels).clamp(min=1, max=max(1, len(values) - 1))
    above = above.clamp(max=len(values) - 1)
    below = (above - 1).clamp(min=0)
    gap = (middles[above] - middles[below]).clamp(min=TINY)
    along = ((levels - middles[below]) / gap).clamp(0, 1)
    return torch.lerp(values[below].double(), values[above].double(), along).to(values.dtype)


def _flat(features: Features) -> Tensor:
    """Return (B, C, positions) in float32 or better."""
    return widen(features).flatten(2)


# Ours, measured at 384 px with relu1_1 and relu4_1: the increase of an evaluation's peak per number sorted, and of its
# time.
_BYTES_PER_SORTED = 36.0
_SECONDS_PER_SORTED = 1e-7
