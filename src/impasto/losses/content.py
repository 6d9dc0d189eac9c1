"""Content: squared distance between feature maps. Gatys et al. 2016, equation 1."""

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.losses.base import PositionLoss
from impasto.ops.numerics import TINY, widen
from impasto.ops.shapes import Features, Scalar
from impasto.recipe import terms


class ContentTarget(NamedTuple):
    """The photo's features, what their distance is multiplied by, and the least spread a channel is taken to have."""

    features: Features
    scale: Tensor | float
    floor: Tensor | None = None  # None where channels are compared as they are
    mean: Tensor | None = None  # (B, C, 1, 1) of the photo's channels
    energy: Tensor | None = None  # (B, C) sum of the squares of normalized features


class Content(PositionLoss[ContentTarget]):
    """See `impasto.recipe.terms.Content`."""

    def __init__(self, spec: terms.Content) -> None:
        self.form = spec.form

    def target(self, features: Features) -> ContentTarget:
        """Return the photo's features and the scale of the chosen form."""
        features = widen(features)
        match self.form:
            case "literal":
                return ContentTarget(features, 0.5)
            case "mean":
                return ContentTarget(features, 1 / features.numel())
            case "relative":
                # A tensor: numbers that differ from photo to photo cannot be in a graph that serves many.
                energy = max(features.square().sum().item(), TINY)
                return ContentTarget(features, features.new_tensor(1 / energy))
            case "normalized":
                floor = (_SPREAD_FLOOR * features.square().mean()).clamp(min=TINY)
                normalized = _normalize(features, floor)
                sums = normalized.square().sum((2, 3))
                mean = features.mean((2, 3), keepdim=True)
                return ContentTarget(normalized, 1 / features.numel(), floor, mean, sums)

    def target_features(self, target: ContentTarget) -> Features:
        """Return the photo's features."""
        return target.features

    def statistic(self, features: Features, matched: Features, target: ContentTarget) -> Tensor:
        """Return the sum of squared differences; normalized, (3, B, C) sums of what they follow from."""
        features = widen(features)
        matched = matched.to(features.dtype)
        if target.mean is None:
            return (features - matched).square().sum()
        # From the photo's mean, which is near: sums from 0 lose the digits of a loud channel that hardly varies.
        away = features - target.mean.to(features.device)
        return torch.stack([away.sum((2, 3)), away.square().sum((2, 3)), (away * matched).sum((2, 3))])

    def value(self, statistic: Tensor, target: ContentTarget) -> Scalar:
        """Return the scaled sum of squared differences, over the whole batch."""
        if target.floor is None or target.energy is None:
            return statistic * target.scale
        # With n = (f - mean) / deviation and t the photo's, whose mean is 0: sum n^2 - 2 sum n t + sum t^2. Here f is
        # counted from the photo's mean, which changes neither.
        count = target.features.shape[2] * target.features.shape[3]
        total, squares, products = statistic
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        inverse = (variance + target.floor).rsqrt()
        energy = count * variance * inverse.square()
        distance: Tensor = (energy - 2 * products * inverse + target.energy).sum()
        return distance * target.scale


def _normalize(features: Features, floor: Tensor) -> Features:
    centred = features - features.mean((2, 3), keepdim=True)
    normalized: Features = centred * (centred.square().mean((2, 3), keepdim=True) + floor).rsqrt()
    return normalized


# Ours: a channel that varies by less than a thousandth of the features' root mean square says nothing; its variance is
# filled up with the square of that instead of being blown up to 1.
_SPREAD_FLOOR = 1e-6
