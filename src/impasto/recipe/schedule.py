"""The schedule: the sizes of a run from coarse to fine, and the steps at each."""

import math
from typing import NamedTuple

from impasto.recipe.recipe import Recipe, Side


class Scale(NamedTuple):
    """One scale of a run."""

    height: int
    width: int
    steps: int


def measure(height: int, width: int, side: Side) -> int:
    """Return the length in pixels of the side that `side` names.

    Args:
        height: in pixels.
        width: in pixels.
        side: `long`, `short` or `height`.

    """
    return {"long": max(height, width), "short": min(height, width), "height": height}[side]


def fit(height: int, width: int, length: float, side: Side = "long") -> tuple[int, int]:
    """Return the size with the same aspect ratio whose `side` is `length`, no side under 1 px.

    >>> fit(300, 400, 200)
    (150, 200)

    Args:
        height: in pixels.
        width: in pixels.
        length: of the side, in pixels.
        side: `long`, `short` or `height`.

    """
    measured = measure(height, width, side)
    return max(1, round(height * length / measured)), max(1, round(width * length / measured))


def fit_area(height: int, width: int, area: float) -> tuple[int, int]:
    """Return the size with the same aspect ratio and about `area` pixels, no side under 1 px.

    Args:
        height: in pixels.
        width: in pixels.
        area: in pixels.

    """
    factor = math.sqrt(area / (height * width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def lengths(start: int, end: int, factor: float) -> tuple[int, ...]:
    """Return lengths from `start` to `end`, evenly spaced in ratio, each at most `factor` times the one before.

    >>> lengths(128, 512, 2)
    (128, 256, 512)

    Args:
        start: the first length in pixels.
        end: the last one.
        factor: above 1.

    """
    if end <= start:
        return (end,)
    # The allowance for rounding keeps 128 -> 512 at two doublings.
    intervals = math.ceil(math.log(end / start) / math.log(factor) - 1e-9)
    return tuple(round(start * (end / start) ** (index / intervals)) for index in range(intervals + 1))


def scales(height: int, width: int, recipe: Recipe) -> tuple[Scale, ...]:
    """Return the scales at which a photo is painted, coarsest first.

    Args:
        height: the photo's, in pixels.
        width: the photo's, in pixels.
        recipe: gives the size, the coarsest scale, the ratio and the steps.

    """
    end = measure(height, width, recipe.side) if recipe.size == "original" else recipe.size
    start = end if recipe.start_size == "final" else recipe.start_size
    result = []
    for index, length in enumerate(lengths(start, end, recipe.scale_factor)):
        steps = recipe.steps[min(index, len(recipe.steps) - 1)]
        result.append(Scale(*fit(height, width, length, recipe.side), steps))
    return tuple(result)


def style_size(height: int, width: int, scale: Scale, final: Scale, recipe: Recipe) -> tuple[int, int]:
    """Return the size of a style picture at a scale, with its aspect ratio.

    Args:
        height: the style picture's, in pixels.
        width: the style picture's, in pixels.
        scale: the present scale.
        final: the last scale.
        recipe: gives `style_fit` and `style_scale`.

    """
    if recipe.style_fit == "side":
        length = measure(scale.height, scale.width, recipe.side) * recipe.style_scale
        return fit(height, width, length, recipe.side)
    area = float(scale.height * scale.width)
    if recipe.style_fit == "original":
        area = min(area, height * width * area / (final.height * final.width))
    return fit_area(height, width, area * recipe.style_scale**2)
