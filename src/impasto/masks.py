"""Masks as people draw them: grey ones, and maps that have a colour for each region."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.errors import UsageError
from impasto.picture import Picture

# (H, W) in [0, 1], how much each pixel belongs to something.
Plane = NDArray[np.float32]


class Area(NamedTuple):
    """A region of the photo.

    Attributes:
        mask: of the photo; None for all of it.
        styles: the indices of the style pictures it is painted after, and which part of each; None for all of it.

    """

    mask: Plane | None
    styles: tuple[tuple[int, Plane | None], ...]


@dataclass(frozen=True, eq=False)
class Masks:
    """Where what is painted.

    Attributes:
        areas: regions of the photo; none where the whole photo is painted after all styles.
        kept: how much of each pixel is the photo's and stays it.

    """

    areas: tuple[Area, ...] = ()
    kept: Plane | None = None


def assign(
    photo: Picture, styles: int, content: Picture | None, of_styles: Sequence[Picture | None], protect: Picture | None
) -> Masks:
    """Return where what is painted.

    A grey content mask: white is painted after the first style and black after the second; with one style, black is
    left to the photo. A coloured one: every colour is a region, in the order of `ordered`; the first is painted after
    the first style and so on, and if there is one style less, the last colour is left to the photo. Coloured masks of
    styles: a region is painted after what has its colour, and left to the photo where nothing has. A grey mask of a
    style: its white parts count.

    Args:
        photo: the masks of it must have its aspect ratio.
        styles: how many there are.
        content: mask of the photo.
        of_styles: masks of the styles in their order; further styles have none.
        protect: white is left to the photo.

    Raises:
        UsageError: masks that fit neither the photo nor the number of styles.

    """
    for mask in (content, protect):
        if mask is not None and abs(mask.width * photo.height / (mask.height * photo.width) - 1) > _ASPECT:
            raise UsageError(
                f"{mask.source}: is {mask.width}x{mask.height}, which is not the photo's aspect ratio "
                f"({photo.width}x{photo.height})"
            )
    if len(of_styles) > styles:
        raise UsageError(f"{len(of_styles)} style masks for {styles} style pictures; give at most one for each")
    each = [*of_styles, *[None] * (styles - len(of_styles))]
    areas, left = _areas(styles, content, each)
    kept = None if protect is None else _grey(protect)
    if left is not None:
        kept = left if kept is None else np.maximum(kept, _stretched(left, kept.shape))
    return Masks(areas, kept)


def _areas(
    styles: int, content: Picture | None, each: Sequence[Picture | None]
) -> tuple[tuple[Area, ...], Plane | None]:
    """Return the regions, and what is left to the photo."""
    coloured = [mask for mask in each if mask is not None and _is_coloured(mask)]
    if content is None or not _is_coloured(content):
        if coloured:
            raise UsageError(
                f"{coloured[0].source}: has colours, but the photo has no mask with the same; give one, or a grey mask"
            )
        planes = [None if mask is None else _grey(mask) for mask in each]
        if content is None:
            return ((Area(None, tuple(enumerate(planes))),) if any(each) else ()), None
        if styles > 2:
            raise UsageError(f"{content.source}: a grey mask has two regions, for {styles} styles; give colours")
        white = _grey(content)
        if styles == 1:
            return (Area(white, ((0, planes[0]),)),), 1 - white
        return (Area(white, ((0, planes[0]),)), Area(1 - white, ((1, planes[1]),))), None
    colors = palette(content)
    regions = [_belonging(content, colors, index) for index in range(len(colors))]
    if coloured:
        areas = []
        left = np.zeros_like(regions[0])
        for index, region in enumerate(regions):
            found = [(number, _belonging(mask, colors, index)) for number, mask in enumerate(each) if mask is not None]
            sources = tuple((number, plane) for number, plane in found if plane.mean() >= _SMALLEST)
            if sources:
                areas.append(Area(region, sources))
            else:
                left += region
        if not areas:
            raise UsageError(f"{coloured[0].source}: has none of the colours of {content.source}: {_named(colors)}")
        return tuple(areas), left if left.any() else None
    if styles not in (len(colors), len(colors) - 1):
        raise UsageError(
            f"{content.source}: has {len(colors)} colours, for {styles} styles; in order they are {_named(colors)}"
        )
    grey = [None if mask is None else _grey(mask) for mask in each]
    paired = tuple(Area(regions[index], ((index, grey[index]),)) for index in range(styles))
    return paired, regions[-1] if styles < len(colors) else None


def palette(mask: Picture) -> list[NDArray[np.float32]]:
    """Return the colours of a map, (3,) each in [0, 1], in the order of `ordered`; those of soft edges do not count.

    Raises:
        UsageError: there are too many to be told apart.

    """
    cells = np.round(mask.pixels.reshape(3, -1).T * (_CELLS - 1)).astype(np.int32)
    codes, counts = np.unique(cells @ np.array([_CELLS**2, _CELLS, 1]), return_counts=True)
    colors: list[NDArray[np.float32]] = []
    for code in codes[np.argsort(-counts, kind="stable")]:
        if counts[codes == code][0] < _SMALLEST * len(cells):
            break
        inside = (cells @ np.array([_CELLS**2, _CELLS, 1])) == code
        color = mask.pixels.reshape(3, -1)[:, inside].mean(axis=1)
        if all(np.linalg.norm(color - other) > _APART for other in colors):
            colors.append(color)
    if not 1 < len(colors) <= _MOST:
        raise UsageError(
            f"{mask.source}: has {len(colors)} colours that can be told apart; give a map of 2 to {_MOST} plain colours"
        )
    return sorted(colors, key=ordered)


def ordered(color: NDArray[np.float32]) -> tuple[bool, float]:
    """Return the place of a colour: red, yellow, green, cyan, blue, magenta, then white, grey and black."""
    red, green, blue = (float(value) for value in color)
    high, low = max(color), min(color)
    if high - low < _COLOURLESS:
        return True, -float(high)
    if high == red:
        hue = ((green - blue) / (high - low)) % 6
        hue = 0 if hue > 5.5 else hue  # a red with a little blue is still the first
    else:
        hue = 2 + (blue - red) / (high - low) if high == green else 4 + (red - green) / (high - low)
    return False, float(hue)


def _belonging(mask: Picture, colors: Sequence[NDArray[np.float32]], index: int) -> Plane:
    """Return 1 where the nearest of `colors` is the one at `index`, and near at all, and 0 elsewhere."""
    distances = np.stack([np.linalg.norm(mask.pixels - color[:, None, None], axis=0) for color in colors])
    plane: Plane = (distances.argmin(axis=0) == index).astype(np.float32)
    return plane


def _is_coloured(mask: Picture) -> bool:
    spread = mask.pixels.max(axis=0) - mask.pixels.min(axis=0)
    return bool((spread > _COLOURLESS).mean() > _SMALLEST)


def _grey(mask: Picture) -> Plane:
    plane: Plane = mask.pixels.mean(axis=0, dtype=np.float32)
    return plane


def _stretched(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Return a mask at another size; its edges are softened later."""
    rows = np.arange(shape[0]) * plane.shape[0] // shape[0]
    columns = np.arange(shape[1]) * plane.shape[1] // shape[1]
    stretched: Plane = plane[rows][:, columns]
    return stretched


def _named(colors: Sequence[NDArray[np.float32]]) -> str:
    return ", ".join("#" + "".join(f"{round(255 * float(value)):02x}" for value in color) for color in colors)


# Ours: masks drawn at another size are a pixel off; more is another picture.
_ASPECT: Final = 0.02
# Ours: JPEG leaves traces of colour in grey.
_COLOURLESS: Final = 0.15
# Ours, a part of the picture: less is a soft edge or a speck.
_SMALLEST: Final = 0.005
# Ours: levels of a channel that are told apart, and the least distance of two colours in [0, 1]^3.
_CELLS: Final = 9
_APART: Final = 0.3
# Ours: more are no map but a picture.
_MOST: Final = 12
