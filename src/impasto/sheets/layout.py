"""Where everything stands on a sheet: whole pixels, nothing drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from impasto.errors import UsageError
from impasto.sheets.lettering import Lettering

# All ours, looked at on sheets of 2 to 36 cells of 48 to 512 px.
_LEAST_TYPE: Final = 12  # px: legible when the sheet is shown as it is
_OF_CELL: Final = 1 / 20  # size of the type, of the cell's long side
_OF_SHEET: Final = 1 / 110  # and of the sheet's, so that a large one can be read when it is shown in a window
_MOST_OF_CELL: Final = 1 / 7
_GUTTER: Final = 0.7  # between cells and around the sheet, in sizes of the type
_BETWEEN_BLOCKS: Final = 3  # gutters
_WIDEST: Final = 11  # a label may widen its column to this many sizes of the type
_SHAPE: Final = 3 / 2  # width to height of a sheet whose columns nobody chose

# Ours: a sheet is 12 bytes a pixel while it is written.
_MOST_PIXELS: Final = 100_000_000


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond."""
        return self.top + self.height

    def translate(self, right: int, down: int) -> "Box":
        """Return the box elsewhere."""
        return replace(self, left=self.left + right, top=self.top + down)


@dataclass(frozen=True)
class Label:
    """A text that fits its box, in the middle of it.

    Attributes:
        text: one line, shortened where it had to be.
        box: for which `turned` text runs from bottom to top.
        size: of the type in pixels.
        faint: for what a row of labels is about, beside the labels themselves.
        align: where in the box it stands.

    """

    text: str
    box: Box
    size: int
    turned: bool = False
    faint: bool = False
    align: Literal["center", "right"] = "center"

    def translate(self, right: int, down: int) -> "Label":
        """Return the label elsewhere."""
        return replace(self, box=self.box.translate(right, down))


@dataclass(frozen=True)
class Layout:
    """A sheet before anything is on it: its size in pixels, where the pictures go and what is written."""

    width: int
    height: int
    cells: tuple[Box, ...]
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        if self.width * self.height > _MOST_PIXELS:
            raise UsageError(
                f"a sheet of {len(self.cells)} cells would have {self.width}x{self.height} pixels; "
                "choose a smaller --cell (cell=), or fewer pictures"
            )


@dataclass(frozen=True)
class Axis:
    """One thing that varies along a table: what it is, and what it is in each row or column."""

    title: str
    heads: tuple[str, ...]


def lay_out_captioned(captions: Sequence[str], height: int, width: int, columns: int | None = None) -> Layout:
    """Return pictures from left to right and top to bottom, each with a line under it.

    Args:
        captions: one for each picture.
        height: of a cell in pixels.
        width: of a cell in pixels.
        columns: how many stand side by side; chosen so that the sheet is half as wide again as high if left out.

    Raises:
        UsageError: the sheet would have too many pixels.

    """
    count = len(captions)
    across = min(count, columns or _columns(count, height, width))
    down = math.ceil(count / across)
    type_ = Lettering(_type_size(height, width, down, across))
    gutter = _gutter(type_)
    slot = _slot(captions, width, type_)
    cells, labels = [], []
    for index, caption in enumerate(captions):
        x = gutter + index % across * (slot + gutter)
        top = gutter + index // across * (height + type_.line + gutter)
        cells.append(Box(x + (slot - width) // 2, top, width, height))
        labels.append(_label(caption, Box(x, top + height, slot, type_.line), type_))
    size = gutter + across * (slot + gutter), gutter + down * (height + type_.line + gutter)
    return Layout(*size, tuple(cells), tuple(labels))


def lay_out_table(
    across: Axis, down: Axis | None, blocks: Sequence[str], height: int, width: int, columns: int | None = None
) -> Layout:
    """Return a table with heads above its columns and beside its rows, or several with a caption above each.

    Args:
        across: what varies from column to column.
        down: what varies from row to row; None for a single row.
        blocks: the captions of the tables; none for one table.
        height: of a cell in pixels.
        width: of a cell in pixels.
        columns: how many tables stand side by side; as for `lay_out_captioned` if left out.

    Returns:
        The cells go row by row through each table.

    Raises:
        UsageError: the sheet would have too many pixels.

    """
    count = max(1, len(blocks))
    wide, high = len(across.heads), len(down.heads) if down else 1
    side_by_side = min(count, columns or _columns(count, high * height, wide * width))
    below = math.ceil(count / side_by_side)
    type_ = Lettering(_type_size(height, width, below * high, side_by_side * wide))
    gutter = _gutter(type_)
    block = _lay_out_one_table(
        across, down, height, width, type_, max([0, *(_share(text, wide, type_) for text in blocks)])
    )
    grid = block.labels[0].box  # what the title of the columns is centred over
    caption = type_.line + gutter if blocks else 0
    pitch = block.width + _BETWEEN_BLOCKS * gutter, caption + block.height + _BETWEEN_BLOCKS * gutter
    cells: list[Box] = []
    labels: list[Label] = []
    for index in range(count):
        left, top = gutter + index % side_by_side * pitch[0], gutter + index // side_by_side * pitch[1]
        if blocks:
            labels.append(_label(blocks[index], Box(left + grid.left, top, grid.width, type_.line), type_))
        cells += [box.translate(left, top + caption) for box in block.cells]
        labels += [label.translate(left, top + caption) for label in block.labels]
    margins = (2 - _BETWEEN_BLOCKS) * gutter
    return Layout(side_by_side * pitch[0] + margins, below * pitch[1] + margins, tuple(cells), tuple(labels))


def _lay_out_one_table(
    across: Axis, down: Axis | None, height: int, width: int, type_: Lettering, smallest_type: int
) -> Layout:
    """Return one table without anything around it, each column at least `smallest_type` wide."""
    gutter, line = _gutter(type_), type_.line
    wide, high = len(across.heads), len(down.heads) if down else 1
    slot = max(smallest_type, _slot(across.heads, width, type_), _share(across.title, wide, type_))
    tall = max(height, line, _share(down.title, high, type_)) if down else height
    heads = _slot(down.heads, 0, type_) if down else 0
    # The title of the rows stands turned beside their heads.
    left = line + heads + gutter if down else 0
    top = 2 * line + gutter // 2
    span = wide * (slot + gutter) - gutter, high * (tall + gutter) - gutter
    labels = [_label(across.title, Box(left, 0, span[0], line), type_, faint=True)]
    labels += [
        _label(head, Box(left + index * (slot + gutter), line, slot, line), type_)
        for index, head in enumerate(across.heads)
    ]
    if down:
        labels.append(_label(down.title, Box(0, top, line, span[1]), type_, faint=True, turned=True))
        labels += [
            _label(head, Box(line, top + index * (tall + gutter), heads, tall), type_, align="right")
            for index, head in enumerate(down.heads)
        ]
    cells = tuple(
        Box(
            left + column * (slot + gutter) + (slot - width) // 2,
            top + row * (tall + gutter) + (tall - height) // 2,
            width,
            height,
        )
        for row in range(high)
        for column in range(wide)
    )
    return Layout(left + span[0], top + span[1], cells, tuple(labels))


def _label(
    text: str,
    box: Box,
    type_: Lettering,
    *,
    faint: bool = False,
    turned: bool = False,
    align: Literal["center", "right"] = "center",
) -> Label:
    fitted = type_.fit(text, box.height if turned else box.width)
    return Label(fitted, box, type_.size, turned, faint, align)


def _columns(count: int, height: int, width: int) -> int:
    """Return the number of columns that makes a sheet of the shape we like best."""

    def away(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns * width / (rows * height) / _SHAPE))

    return min(range(1, count + 1), key=away)


def _type_size(height: int, width: int, rows: int, columns: int) -> int:
    side = max(height, width)
    size = max(_LEAST_TYPE, side * _OF_CELL, max(rows * height, columns * width) * _OF_SHEET)
    return round(min(size, max(_LEAST_TYPE, side * _MOST_OF_CELL)))


def _gutter(type_: Lettering) -> int:
    return round(type_.size * _GUTTER)


def _slot(texts: Sequence[str], width: int, type_: Lettering) -> int:
    """Return the width of a column: of its picture, or of a label that is not too long."""
    widest = _WIDEST * type_.size
    return max([width, *(type_.width(type_.fit(text, widest)) for text in texts)])


def _share(title: str, count: int, type_: Lettering) -> int:
    """Return what each of `count` columns or rows must measure for the title over all of them to fit."""
    length = type_.width(type_.fit(title, 2 * _WIDEST * type_.size))
    return math.ceil((length - (count - 1) * _gutter(type_)) / count)
