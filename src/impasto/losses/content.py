"""The content loss: squared distance between features, position by position. Gatys et al. 2016, equation 1."""

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.losses.base import PositionLoss
from impasto.ops.numerics import TINY, widen
from impasto.ops.shapes import Features, Scalar
from impasto.recipe import terms


class ContentTarget(NamedTuple):
    """The photo's features, the factor on their distance, and the statistics that the normalized form needs."""

    features: Features
    scale: Tensor | float
    floor: Tensor | None = None  # of a channel's variance; None in the other forms
    mean: Tensor | None = None  # (B, C, 1, 1) of the photo's channels
    energy: Tensor | None = None  # (B, C) sum of squares of the normalized features


class Content(PositionLoss[ContentTarget]):
    """The content loss in one of its forms, which `impasto.recipe.terms.Content` defines.

    >>> from impasto.recipe import terms
    >>> loss = Content(terms.Content(form="mean"))
    >>> photo = torch.tensor([[[[1.0, 2.0]]]])
    >>> target = loss.target(photo)
    >>> loss.value(loss.statistic(photo + 3, photo, target), target).item()
    9.0

    """

    def __init__(self, spec: terms.Content) -> None:
        self.form = spec.form

    def target(self, features: Features) -> ContentTarget:
        """Return the photo's features and the factor of the form."""
        features = widen(features)
        match self.form:
            case "literal":
                return ContentTarget(features, 0.5)
            case "mean":
                return ContentTarget(features, 1 / features.numel())
            case "relative":
                # A tensor, since a captured CUDA graph, which other photos share, cannot contain a number of this
                # photo.
                energy = max(features.square().sum().item(), TINY)
                return ContentTarget(features, features.new_tensor(1 / energy))
            case "normalized":
                floor = (_SPREAD_FLOOR * features.square().mean()).clamp(min=TINY)
                normalized = _normalize(features, floor)
                sums = normalized.square().sum((2, 3))
                mean = features.mean((2, 3), keepdim=True)
                return ContentTarget(normalized, 1 / features.numel(), floor, mean, sums)

    def target_features(self, target: ContentTarget) -> Features:
        """Return the photo's features, normalized if that is the form."""
        return target.features

    def statistic(self, features: Features, matched: Features, target: ContentTarget) -> Tensor:
        """Return the sum of squared differences; in the normalized form, (3, B, C) sums that determine it.

        Args:
            features: (B, C, h, w) of the image.
            matched: (B, C, h, w) the photo's at the same positions.
            target: of the whole image.

        """
        features = widen(features)
        matched = matched.to(features.dtype)
        if target.mean is None:
            return (features - matched).square().sum()
        # Relative to the photo's mean, which is near: sums of large values that hardly vary would lose their digits.
        away = features - target.mean.to(features.device)
        return torch.stack([away.sum((2, 3)), away.square().sum((2, 3)), (away * matched).sum((2, 3))])

    def value(self, statistic: Tensor, target: ContentTarget) -> Scalar:
        """Return the sum of squared differences times the form's factor, summed over the batch."""
        if target.floor is None or target.energy is None:
            return statistic * target.scale
        # With n = (f - mean) / deviation and the photo's t, whose mean is 0: sum n^2 - 2 sum n t + sum t^2. The
        # features f are relative to the photo's mean here, which changes neither sum.
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


# Ours: a channel that varies by less than a thousandth of the features' root mean square carries no content. The floor
# keeps its variance from being scaled up to 1.
_SPREAD_FLOOR = 1e-6
