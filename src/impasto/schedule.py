"""From coarse to fine: the sizes of a run and the steps at each. Whole numbers only."""

import math
from typing import NamedTuple

from impasto.recipe import Recipe


class Scale(NamedTuple):
    """One scale of a run."""

    height: int
    width: int
    steps: int


def fit(height: int, width: int, long_side: int) -> tuple[int, int]:
    """Return the size with the same aspect ratio whose long side is `long_side`, no side under 1."""
    longest = max(height, width)
    return max(1, round(height * long_side / longest)), max(1, round(width * long_side / longest))


def fit_area(height: int, width: int, area: float) -> tuple[int, int]:
    """Return the size with the same aspect ratio that has about `area` pixels, no side under 1."""
    factor = math.sqrt(area / (height * width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def long_sides(start: int, end: int, factor: float) -> tuple[int, ...]:
    """Return the long sides from `start` to `end`, evenly spaced in ratio, each at most `factor` times the last."""
    if end <= start:
        return (end,)
    # The small allowance keeps 128 -> 512 at two doublings in spite of rounding.
    intervals = math.ceil(math.log(end / start) / math.log(factor) - 1e-9)
    return tuple(round(start * (end / start) ** (index / intervals)) for index in range(intervals + 1))


def scales(height: int, width: int, recipe: Recipe) -> tuple[Scale, ...]:
    """Return the scales at which a photo is painted, coarsest first.

    Args:
        height: the photo's, in pixels.
        width: the photo's, in pixels.
        recipe: says the size, the coarsest scale, the ratio and the steps.

    """
    end = max(height, width) if recipe.size == "original" else recipe.size
    result = []
    for index, long_side in enumerate(long_sides(recipe.start_size, end, recipe.scale_factor)):
        steps = recipe.steps[min(index, len(recipe.steps) - 1)]
        result.append(Scale(*fit(height, width, long_side), steps))
    return tuple(result)
