"""Advice: known problems that a run's pictures and losses show, and the option that helps with each.

Arrays and numbers in, words out; no torch. docs/advice.md has the measurements and the source of each threshold.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from impasto.recipe import Adam, Recipe, schedule
from impasto.recipe.schedule import Scale

Pixels: TypeAlias = Float32[np.ndarray, "3 H W"]  # sRGB in [0, 1]
Plane: TypeAlias = Float32[np.ndarray, "H W"]  # mean of the channels

# Ours: a person reads two lines, and changes one thing at a time.
MOST = 2


@dataclass(frozen=True)
class Advice:
    """A known problem of a run.

    Attributes:
        sign: its name, such as `noise`.
        seen: what was measured, in words.
        help: which option helps, in words.

    """

    sign: str
    seen: str
    help: str

    def __str__(self) -> str:
        return f"{self.seen}: {self.help}"


def foresee(photo: Pixels, styles: Sequence[Pixels], recipe: Recipe) -> tuple[Advice, ...]:
    """Return the advice on the input pictures before a run begins, gravest first, at most `MOST`.

    Args:
        photo: as read.
        styles: as read.
        recipe: gives what is compared, and the size.

    """
    final = schedule.scales(photo.shape[1], photo.shape[2], recipe)[-1]
    remarks: list[Advice | None] = []
    if recipe.compares("content"):
        remarks.append(one_color(photo, "photo"))
    if recipe.compares("style"):
        remarks += [one_color(style, "style picture") for style in styles]
        remarks += [small_style(style.shape[1], style.shape[2], final, recipe) for style in styles]
    return _gravest(remarks)


def advise(
    picture: Pixels, photo: Pixels, styles: Sequence[Pixels], recipe: Recipe, losses: Sequence[float]
) -> tuple[Advice, ...]:
    """Return the advice on a finished run, gravest first, at most `MOST`.

    Args:
        picture: the result.
        photo: at the size of the result.
        styles: at their size at the last scale.
        recipe: of the run.
        losses: of the last scale, step by step, and of the result.

    """
    remarks: list[Advice | None] = []
    if min(picture.shape[1:]) >= _SMALLEST:
        inputs = [photo] if recipe.compares("content") else []
        inputs += styles if recipe.compares("style") else []
        if inputs:
            remarks += [noise(picture, inputs, recipe), clipped(picture, inputs, recipe), flat(picture, inputs, recipe)]
        remarks.append(borders(picture, photo, recipe))
    remarks += [stalled(losses, recipe), unfinished(losses)]
    return _gravest(remarks)


def _gravest(remarks: Iterable[Advice | None]) -> tuple[Advice, ...]:
    # In the order of the checks; two styles may give the same advice.
    return tuple(dict.fromkeys(advice for advice in remarks if advice))[:MOST]


def one_color(picture: Pixels, role: str) -> Advice | None:
    """Check for a picture of one colour, which has no content or style."""
    if float(picture.std(axis=(1, 2)).max()) >= _ONE_COLOR:
        return None
    return Advice("one-colour", f"the {role} is nearly of one colour", "choose one with forms in it")


def small_style(height: int, width: int, final: Scale, recipe: Recipe) -> Advice | None:
    """Check for a style picture that must be enlarged, and so has no fine strokes.

    Args:
        height: of the style picture in pixels.
        width: of the style picture in pixels.
        final: the last scale.
        recipe: gives the size that styles have.

    """
    wanted = schedule.style_size(height, width, final, final, recipe)
    factor = math.sqrt(wanted[0] * wanted[1] / (height * width))
    if factor <= _ENLARGED:
        return None
    size = math.floor(schedule.measure(final.height, final.width, recipe.side) / factor)
    scale = math.floor(100 * recipe.style_scale / factor) / 100
    options = [f"--size {size}"] * (size >= _LEAST_SIZE) + [f"--style-scale {scale:g}"] * (scale > 0)
    return Advice(
        "small-style",
        f"the style picture, {width}x{height}, is enlarged {factor:.1f} times and has no strokes that fine",
        "use " + " or ".join(["a larger file of it", *options]),
    )


def noise(picture: Pixels, inputs: Sequence[Pixels], recipe: Recipe) -> Advice | None:
    """Check for grain at the scale of pixels that neither photo nor style has.

    Args:
        picture: (3, H, W) the result, sRGB in [0, 1].
        inputs: (3, h, w) each, photo and styles at the last scale.
        recipe: that it was painted with.

    """
    energy, octaves = _finest(picture)
    times = energy / max(_FAINT, *(_finest(other)[0] for other in inputs))
    if times <= _NOISE or octaves <= _WHITE:
        return None
    options = [f"--smoothness {_suggest_smoothness(recipe.smoothness):g}"] if _has_smoothness(recipe) else []
    # Measured: the same terms from the style's colours on the photo leave a ninth of the grain.
    if recipe.init in ("noise", "style") and recipe.compares("content") and recipe.compares("style"):
        options.append("--init matched")
    observation = f"there is grain from pixel to pixel, {times:.1f} times as strong as in photo and style"
    return Advice("noise", observation, f"try {' or '.join(options or ['the recipe default'])}")


def clipped(picture: Pixels, inputs: Sequence[Pixels], recipe: Recipe) -> Advice | None:
    """Check for many more clipped pixels than in photo and style.

    Args:
        picture: (3, H, W) the result, sRGB in [0, 1].
        inputs: (3, h, w) each, photo and styles at the last scale.
        recipe: that it was painted with.

    """
    share = _clipped(picture)
    if share - max(map(_clipped, inputs)) <= _CLIPPED:
        return None
    # Measured: with a style, starting from its colours leaves a third of it, twice the steps less than half, and
    # smoothness helps little; without a style smoothness removes all of it.
    if not recipe.compares("style"):
        option = (
            f"--smoothness {_suggest_smoothness(recipe.smoothness):g}" if _has_smoothness(recipe) else "more --steps"
        )
    else:
        option = "more --steps" if recipe.init == "matched" else "--init matched or more --steps"
    return Advice("clipped", f"{share:.0%} of the pixels have a channel at its darkest or brightest", f"try {option}")


def flat(picture: Pixels, inputs: Sequence[Pixels], recipe: Recipe) -> Advice | None:
    """Check for even areas where photo and style have some structure.

    Args:
        picture: (3, H, W) the result, sRGB in [0, 1].
        inputs: (3, h, w) each, photo and styles at the last scale.
        recipe: that it was painted with.

    """
    share = _flat(picture)
    if share - max(map(_flat, inputs)) <= _FLAT:
        return None
    if recipe.init == "grey":
        option = "--init matched or more --steps"
    elif recipe.compares("smoothness"):
        option = f"--smoothness {recipe.smoothness / 10:g}"
    else:
        option = "more --steps"
    return Advice(
        "flat", f"{share:.0%} of the picture is without any form, more than of photo and style", f"try {option}"
    )


def borders(picture: Pixels, photo: Pixels, recipe: Recipe) -> Advice | None:
    """Check for borders that are painted otherwise than the pixels beside them.

    Args:
        picture: (3, H, W) the result, sRGB in [0, 1].
        photo: (3, H, W) of the same size.
        recipe: that it was painted with.

    """
    # With a margin, or without borders, there is nothing to improve.
    if recipe.margin >= _MARGIN / 2 or recipe.padding == "circular":
        return None
    weak, strong = _border(picture)
    photo_weak, photo_strong = _border(photo)
    if weak < min(_WEAK_BORDER, _AS_PHOTO * photo_weak):
        observation = f"along its borders the picture has {weak:.0%} of the forms beside them"
    elif strong > _STRONG_BORDER * max(1, photo_strong):
        observation = f"the outermost pixels differ {strong:.1f} times as much from their neighbours as others do"
    else:
        return None
    return Advice("borders", observation, f"try --margin {_MARGIN:g}")


def stalled(losses: Sequence[float], recipe: Recipe) -> Advice | None:
    """Check for a run whose second half gained nothing."""
    if len(losses) <= _JUDGED:
        return None
    if min(losses) >= losses[0]:
        optimizer = recipe.optimizer
        option = (
            f"--set optimizer.learning_rate={optimizer.learning_rate / 10:g}"
            if isinstance(optimizer, Adam)
            else "the recipe default"
        )
        return Advice("stalled", f"the loss never fell below that of the start, {losses[0]:.3g}", f"try {option}")
    fell = _relative_fall(losses, len(losses) // 2)
    if fell >= _STALLED:
        return None
    observation = f"in the last half of the last scale's {len(losses) - 1} steps the loss fell by {100 * fell:.1g} %"
    return Advice("stalled", observation, "fewer --steps give the same picture sooner")


def unfinished(losses: Sequence[float]) -> Advice | None:
    """Check for a run that ended while its loss was still falling."""
    if len(losses) <= _JUDGED:
        return None
    fell = _relative_fall(losses, len(losses) // 4)
    if fell <= _FALLING:
        return None
    steps = len(losses) - 1
    observation = f"the loss was still falling, by {fell:.0%} in the last quarter of the last scale's {steps} steps"
    return Advice("unfinished", observation, f"try more --steps, {2 * steps} there")


def _suggest_smoothness(smoothness: float) -> float:
    # Ours, measured: 4 removes the grain that 0 leaves; four times that still looks painted (docs/recipes.md).
    return max(4.0, 4 * smoothness)


def _has_smoothness(recipe: Recipe) -> bool:
    return any(term.loss.role == "smoothness" and term.weight > 0 for term in recipe.terms)


def _finest(picture: Pixels) -> tuple[float, float]:
    """Return the energy of the finest octave, and its ratio to the next octave's."""
    plane = picture.mean(axis=0)
    height, width = (length // 2 * 2 for length in plane.shape)
    halved = plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    finest, coarser = _laplacian(plane), _laplacian(halved)
    return finest, finest / max(_FAINT, coarser)


def _laplacian(plane: Plane) -> float:
    """Return the mean square difference between a pixel and the mean of its four neighbours."""
    around = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
    return float(np.square(plane[1:-1, 1:-1] - around / 4).mean())


def _clipped(picture: Pixels) -> float:
    """Return the fraction of pixels with a channel that is saved as 0 or 255 in 8 bits."""
    return float(((picture.min(axis=0) < 1 / 510) | (picture.max(axis=0) > 1 - 1 / 510)).mean())


def _flat(picture: Pixels) -> float:
    """Return the fraction of squares, with a side of 1/32 of the long side, in which no channel varies."""
    side = max(4, round(max(picture.shape[1:]) / 32))
    rows, columns = (length // side for length in picture.shape[1:])
    squares = picture[:, : rows * side, : columns * side].reshape(3, rows, side, columns, side)
    return float((squares.std(axis=(2, 4)).max(axis=0) < _NO_FORM).mean())


def _border(picture: Pixels) -> tuple[float, float]:
    """Return the structure along the borders relative to that beside them, and how much the outermost line stands out.

    Both are geometric means over the four sides. With differences `a` along and `b` across the border, in lines counted
    from the border: a[0:2] / a[4:8] x b[0] / b[2:6], and b[0] / b[2:6] alone.
    """
    along, across = [], []
    for turn in range(4):
        lines = np.rot90(picture, turn, (1, 2))[:, :8]
        a = np.abs(np.diff(lines, axis=2)).mean(axis=(0, 2)) + _FAINT
        b = np.abs(np.diff(lines, axis=1)).mean(axis=(0, 2)) + _FAINT
        along.append(math.log(a[:2].mean() / a[4:8].mean()))
        across.append(math.log(b[0] / b[2:6].mean()))
    strong = math.exp(sum(across) / 4)
    return math.exp(sum(along) / 4) * strong, strong


def _relative_fall(losses: Sequence[float], last: int) -> float:
    """Return the relative fall of the lowest loss in the `last` steps."""
    before, after = min(losses[: len(losses) - last]), min(losses)
    return 1 - after / before if before > 0 else 0.0


# Ours, measured over the pairs of benchmarks/main_job.py at 96 to 192 px; the tables are in docs/advice.md.

# With fewer pixels a side, measurements mean little.
_SMALLEST = 64
# With at most this many steps at the last scale a loss has no trend: draft has 5, and is meant to be short.
_JUDGED = 7
# Root mean square: 8-bit noise is 0.001; the least of the sample pictures is 0.12.
_ONE_COLOR = 0.01
# Below this ratio strokes are as fine as the result can show.
_ENLARGED = 1.5
# The least that `--size` takes.
_LEAST_SIZE = 16
# Under an 8-bit level, squared.
_FAINT = 1e-6
# Times the energy of photo and style: up to 0.52 where all is well, 2.7 to 12.8 with grain.
_NOISE = 2.0
# Times the energy of the next octave: up to 0.55 where all is well, 1.1 to 9 with grain.
_WHITE = 1.0
# Share more than in photo and style: up to 0.12 where all is well, 0.22 to 0.23 after too few steps from the photo.
_CLIPPED = 0.2
# Standard deviation: five levels of 255.
_NO_FORM = 0.02
# Fraction above that of photo and style: below 0 where all is well, 0.19 to 0.28 washed out.
_FLAT = 0.15
# docs/recipes.md: with this margin borders are as clean as the middle.
_MARGIN = 0.03125
# Relative to the structure beside: from 0.76 with a margin, 0.37 to 0.68 without.
_WEAK_BORDER = 0.65
# Relative to the photo's own ratio: from 1.05 with a margin, 0.48 to 0.85 without (and one of 1.02).
_AS_PHOTO = 0.9
# Ratio, or ratio relative to the photo's: up to 1.07 with a margin, 1.25 to 1.41 in recipes without.
_STRONG_BORDER = 1.2
# Relative fall of the loss in the last half: from 0.03 where all is well, 0.02 after 400 steps at 64 px.
_STALLED = 0.005
# Relative fall of the loss in the last quarter: up to 0.066 where all is well.
_FALLING = 0.1
