"""Masks as people draw them: grey ones, and maps with one colour per region."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.errors import UsageError
from impasto.picture import Picture
from impasto.recipe import Inputs
from impasto.recipe.provenance import Drawn, Input, plain_name

# (H, W) in [0, 1]: how much each pixel belongs to a region.
Plane = NDArray[np.float32]


class Area(NamedTuple):
    """A region of the photo.

    Attributes:
        mask: (H, W) of the photo; None for the whole photo.
        styles: the index of each style of the region, with the mask of the style picture; None for the whole picture.

    """

    mask: Plane | None
    styles: tuple[tuple[int, Plane | None], ...]


@dataclass(frozen=True, eq=False)
class Masks:
    """Which parts of the photo are painted in which styles.

    Attributes:
        areas: the regions of the photo; none if the whole photo is painted in all styles.
        protected: (H, W), how far each pixel stays the photo's; None if nothing is protected.
        drawn: the mask pictures, for the provenance.

    """

    areas: tuple[Area, ...] = ()
    protected: Plane | None = None
    drawn: Drawn = Drawn()


def assign(inputs: Inputs[Picture]) -> Masks:
    """Return which parts of the photo are painted in which styles.

    A grey content mask: white is painted in the first style and black in the second; with one style, black is
    protected. A coloured content mask: every colour is a region, in the order of `hue_order`; the first is painted in
    the first style and so on, and with one style less than colours the last colour is protected. Coloured masks of
    styles: a region is painted in the styles that have its colour, and protected where none has; a style without a
    mask belongs to every region. A grey mask of a style: only its white parts are used. Transparent pixels of a mask
    are black.

    Args:
        inputs: the content mask and `protect` must have the photo's aspect ratio, the mask of a style its style's.

    Raises:
        UsageError: a mask has another aspect ratio, or the regions do not match the number of styles.

    """
    photo, content, protect = inputs.photo, inputs.content_mask, inputs.protect
    if not any((content, protect, *inputs.style_masks)):
        return Masks()
    style_masks = [style.mask for style in inputs.styles]
    pairs = [(content, photo, "photo"), (protect, photo, "photo")]
    for mask, picture, role in [*pairs, *((style.mask, style.picture, "style") for style in inputs.styles)]:
        if mask is not None and abs(mask.width * picture.height / (mask.height * picture.width) - 1) > _ASPECT:
            raise UsageError(
                f"{mask.source}: is {mask.width}x{mask.height}, which is not the {role}'s aspect ratio "
                f"({picture.width}x{picture.height})"
            )
    of_all = tuple(_input(mask) for mask in style_masks) if any(style_masks) else ()
    drawn = Drawn(_input(content), of_all, _input(protect))
    content, protect, *style_masks = (
        None if mask is None else _on_black(mask) for mask in (content, protect, *style_masks)
    )
    areas, unassigned = _areas(len(style_masks), content, style_masks)
    protected = None if protect is None else _grey(protect)
    if unassigned is not None:
        protected = unassigned if protected is None else np.maximum(*_to_one_size(protected, unassigned))
    return Masks(areas, protected, drawn)


def _areas(
    styles: int, content: Picture | None, style_masks: Sequence[Picture | None]
) -> tuple[tuple[Area, ...], Plane | None]:
    """Return the regions, and the mask of what belongs to none."""
    coloured = [mask for mask in style_masks if mask is not None and _is_coloured(mask)]
    if content is None or not _is_coloured(content):
        if coloured:
            raise UsageError(
                f"{coloured[0].source}: has colours, but the photo has no mask with the same; give one, or a grey mask"
            )
        planes = [None if mask is None else _style_mask(mask) for mask in style_masks]
        if content is None:
            return ((Area(None, tuple(enumerate(planes))),) if any(style_masks) else ()), None
        if styles > 2:
            raise UsageError(f"{content.source}: a grey mask has two regions, for {styles} styles; give colours")
        white = _grey(content)
        if styles == 1:
            return (Area(white, ((0, planes[0]),)),), 1 - white
        return (Area(white, ((0, planes[0]),)), Area(1 - white, ((1, planes[1]),))), None
    colors = palette(content)
    regions = _color_memberships(content, colors)
    if coloured:
        return _by_color(content, colors, regions, style_masks)
    if styles not in (len(colors), len(colors) - 1):
        raise UsageError(
            f"{content.source}: has {len(colors)} colours, for {styles} styles; "
            f"in order they are {_name_colors(colors)}"
        )
    grey = [None if mask is None else _style_mask(mask) for mask in style_masks]
    paired = tuple(Area(regions[index], ((index, grey[index]),)) for index in range(styles))
    return paired, regions[-1] if styles < len(colors) else None


def _by_color(
    content: Picture,
    colors: Sequence[NDArray[np.float32]],
    regions: Sequence[Plane],
    style_masks: Sequence[Picture | None],
) -> tuple[tuple[Area, ...], Plane | None]:
    """Return the regions, each with the styles whose masks have its colour, and the mask of what belongs to none."""
    areas = []
    unassigned = np.zeros_like(regions[0])
    of_styles = [None if mask is None else _color_memberships(mask, colors, _APART) for mask in style_masks]
    for mask, planes in zip(style_masks, of_styles, strict=True):
        if mask is not None and planes is not None and all(plane.mean() < _SMALLEST for plane in planes):
            raise UsageError(f"{mask.source}: has none of the colours of {content.source}: {_name_colors(colors)}")
    for index, region in enumerate(regions):
        styles = [(number, None if planes is None else planes[index]) for number, planes in enumerate(of_styles)]
        sources = tuple((number, plane) for number, plane in styles if plane is None or plane.mean() >= _SMALLEST)
        if sources:
            areas.append(Area(region, sources))
        else:
            unassigned += region
    return tuple(areas), unassigned if unassigned.any() else None


def palette(mask: Picture) -> list[NDArray[np.float32]]:
    """Return the colours of a map, (3,) each in [0, 1], in the order of `hue_order`, without those of soft edges.

    Raises:
        UsageError: there are more than twelve colours.

    """
    step = max(1, math.isqrt(mask.width * mask.height // _ENOUGH))
    thinned = mask.pixels[:, ::step, ::step]
    flat = _find_flat(thinned)
    pixels = thinned[:, flat]
    red, green, blue = np.round(pixels * (_CELLS - 1)).astype(np.int32)
    cells = (red * _CELLS + green) * _CELLS + blue
    codes, counts = np.unique(cells, return_counts=True)
    colors: list[NDArray[np.float32]] = []
    for code, count in sorted(zip(codes, counts, strict=True), key=lambda pair: -pair[1]):
        if count < _SMALLEST * flat.size:
            break
        color = pixels[:, cells == code].mean(axis=1, dtype=np.float64).astype(np.float32)
        if all(np.linalg.norm(color - other) > _APART for other in colors):
            colors.append(color)
    if not 1 < len(colors) <= _MOST:
        raise UsageError(
            f"{mask.source}: colours that can be told apart: {len(colors)}; give a map of 2 to {_MOST} plain colours"
        )
    return sorted(colors, key=hue_order)


def _find_flat(pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where a map has one colour within two pixels: soft edges and those of a JPEG have several."""
    around = np.pad(pixels, ((0, 0), (_EDGE, _EDGE), (_EDGE, _EDGE)), mode="edge")
    steps = range(2 * _EDGE + 1)
    height, width = pixels.shape[1:]
    high, low = (
        functools.reduce(extremum, [side[:, :, step : step + width] for step in steps])
        for extremum, side in ((np.maximum, around), (np.minimum, around))
    )
    high, low = (
        functools.reduce(extremum, [side[:, step : step + height] for step in steps])
        for extremum, side in ((np.maximum, high), (np.minimum, low))
    )
    flat: NDArray[np.bool_] = (high - low).max(axis=0) <= _COLOURLESS
    return flat


def hue_order(color: NDArray[np.float32]) -> tuple[bool, float]:
    """Return the sort key of a colour: red, yellow, green, cyan, blue, magenta, then white, grey and black."""
    red, green, blue = (float(value) for value in color)
    high, low = max(color), min(color)
    if high - low < _COLOURLESS:
        return True, -float(high)
    if high == red:
        hue = ((green - blue) / (high - low)) % 6
        hue = 0 if hue > 5.5 else hue  # a red with a little blue comes first too
    else:
        hue = 2 + (blue - red) / (high - low) if high == green else 4 + (red - green) / (high - low)
    return False, float(hue)


def _color_memberships(mask: Picture, colors: Sequence[NDArray[np.float32]], within: float = math.inf) -> list[Plane]:
    """Return a mask for each of `colors`: 1 where it is the nearest and no farther than `within`, else 0."""
    nearest = np.full(mask.pixels.shape[1:], -1)
    smallest = np.full(nearest.shape, within, np.float32)
    # One colour at a time: the distances to all at once would take much memory.
    for index, color in enumerate(colors):
        distance = np.linalg.norm(mask.pixels - color[:, None, None], axis=0)
        closer = distance < smallest
        nearest[closer], smallest[closer] = index, distance[closer]
    return [(nearest == index).astype(np.float32) for index in range(len(colors))]


def _is_coloured(mask: Picture) -> bool:
    spread = mask.pixels.max(axis=0) - mask.pixels.min(axis=0)
    return bool((spread > _COLOURLESS).mean() > _SMALLEST)


def _grey(mask: Picture) -> Plane:
    plane: Plane = mask.pixels.mean(axis=0, dtype=np.float32)
    return plane


def _style_mask(mask: Picture) -> Plane:
    """Return the mask of a style picture, which must not be empty."""
    plane = _grey(mask)
    if plane.max() < _SMALLEST:
        raise UsageError(f"{mask.source}: is black, so nothing of the style counts; make white what should")
    return plane


def _input(mask: Picture | None) -> Input | None:
    return None if mask is None else Input(plain_name(mask.source), mask.sha256)


def _on_black(mask: Picture) -> Picture:
    """Return a mask laid on black, so that what was not drawn belongs to no region."""
    if mask.alpha is None:
        return mask
    return dataclasses.replace(mask, pixels=mask.pixels * mask.alpha, alpha=None)


def _to_one_size(*planes: Plane) -> list[Plane]:
    """Return masks resized to the largest, without smoothing; scaling them to the image softens their edges later."""
    height, width = max((plane.shape for plane in planes), key=math.prod)
    resized = []
    for plane in planes:
        rows, columns = (
            np.arange(size) * length // size for size, length in zip((height, width), plane.shape, strict=True)
        )
        resized.append(plane[rows][:, columns])
    return resized


def _name_colors(colors: Sequence[NDArray[np.float32]]) -> str:
    return ", ".join("#" + "".join(f"{round(255 * float(value)):02x}" for value in color) for color in colors)


# Ours: a mask drawn at another size may be a pixel off; more is the mask of another picture.
_ASPECT: Final = 0.02
# Ours: JPEG leaves traces of colour in grey.
_COLOURLESS: Final = 0.15
# Ours, as a fraction of the picture: anything smaller is a soft edge or a speck.
_SMALLEST: Final = 0.005
# Ours, px: JPEG stores colours at half resolution.
_EDGE: Final = 2
# Ours: this many pixels are enough to find the colours of a map.
_ENOUGH: Final = 250_000
# Ours: levels per channel in which colours are counted, and the least distance of two colours in [0, 1]^3.
_CELLS: Final = 9
_APART: Final = 0.3
# Ours: a map with more colours is a photo.
_MOST: Final = 12
