"""A contact sheet of finished pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from PIL.Image import Image

from impasto.errors import UsageError
from impasto.picture import Picture, PictureSource, as_picture
from impasto.sheets.board import Board, fit
from impasto.sheets.layout import lay_out_captioned

# Ours: smaller pictures cannot be told apart; larger ones are better opened alone.
SMALLEST_CELL: Final = 16
LARGEST_CELL: Final = 4096
# Ours: the default long side of a cell; three of them fill a screen.
_COMMON_CELL: Final = 512


def sheet(
    pictures: Iterable[PictureSource],
    labels: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    cell: int | None = None,
) -> Picture:
    """Return pictures in a grid on light grey, each with a label below.

    Args:
        pictures: one or more, in any of the forms that `stylize` takes. They are read one after another.
        labels: one for each picture; None for their file names, or numbers for pictures without one. Long labels are
            shortened in the middle, and control characters are escaped.
        columns: number of columns, at least 1; None to choose it by the shape of the sheet.
        cell: long side of the largest picture on the sheet in pixels, 16 to 4096; all pictures are scaled to fit the
            same box. None for that of the largest picture, at most 512, so that pictures of one size up to 512 are
            shown pixel by pixel.

    Returns:
        The sheet, opaque, 8-bit sRGB values in [0, 1]; its notes name the labels that no font has all letters of.

    Raises:
        UsageError: no picture, a wrong number of labels, a number out of range, or a sheet of over 100 million pixels.
        PictureError: a picture cannot be read.

    """
    if columns is not None and columns < 1:
        raise UsageError(f"columns is {columns}; expected a whole number of at least 1")
    most = cell_side(cell, LARGEST_CELL) if cell else _COMMON_CELL
    images, sizes, names = _read(pictures, most)
    if not images:
        raise UsageError("a sheet of no pictures; give one or more")
    if labels is None:
        labels = _labels(names)
    if len(labels) != len(images):
        raise UsageError(f"{len(labels)} labels for {len(images)} pictures; give one for each")
    side = cell_side(cell, max(map(max, sizes)))
    factors = [side / max(size) for size in sizes]
    height, width = (
        max(max(1, round(size[axis] * factor)) for size, factor in zip(sizes, factors, strict=True)) for axis in (0, 1)
    )
    board = Board(lay_out_captioned(labels, height, width, columns))
    for index, image in enumerate(images):
        board.put_image(index, image)
    return board.picture()


def cell_side(cell: int | None, largest: int) -> int:
    """Return the long side of a cell in pixels; `largest` is the long side of the largest picture.

    Raises:
        UsageError: `cell` is out of range.

    """
    if cell is None:
        return max(SMALLEST_CELL, min(largest, _COMMON_CELL))
    if not SMALLEST_CELL <= cell <= LARGEST_CELL:
        raise UsageError(f"cell is {cell}; expected a whole number from {SMALLEST_CELL} to {LARGEST_CELL}")
    return cell


def _read(pictures: Iterable[PictureSource], side: int) -> tuple[list[Image], list[tuple[int, int]], list[str]]:
    """Return the pictures, reduced to at most `side`, their original sizes (height, width), and their names."""
    images, sizes, names = [], [], []
    for source in pictures:
        picture = as_picture(source)
        image = picture.to_pil()
        images.append(fit(image, side, side) if max(picture.size) > side else image)
        sizes.append(picture.size)
        names.append(picture.source)
    return images, sizes, names


def _labels(names: Sequence[str]) -> list[str]:
    short = [str(number) if name == "memory" else Path(name).name for number, name in enumerate(names, 1)]
    if len(set(short)) == len(short):
        return short
    return [str(number) if name == "memory" else name for number, name in enumerate(names, 1)]
