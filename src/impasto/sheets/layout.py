"""The layout of a sheet: boxes of whole pixels for its pictures and labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from impasto.errors import UsageError
from impasto.sheets.lettering import Lettering

# All ours, judged by eye on sheets of 2 to 36 cells of 48 to 512 px.
_LEAST_TYPE: Final = 12  # px: legible when the sheet is shown at its size
_OF_CELL: Final = 1 / 20  # size of the type relative to a cell's long side
_OF_SHEET: Final = 1 / 110  # and relative to the sheet's, so that a large one is legible when shown in a window
_MOST_OF_CELL: Final = 1 / 7
_GUTTER: Final = 0.7  # between cells and around the sheet, in sizes of the type
_BETWEEN_BLOCKS: Final = 3  # gutters
_WIDEST: Final = 11  # a label may widen its column to this many sizes of the type
_SHAPE: Final = 3 / 2  # width to height of a sheet, unless its columns are given

# Ours: writing a sheet takes 12 bytes a pixel.
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
        """The first column beyond the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond the box."""
        return self.top + self.height

    def translate(self, right: int, down: int) -> "Box":
        """Return the box moved right and down, in pixels."""
        return replace(self, left=self.left + right, top=self.top + down)


@dataclass(frozen=True)
class Label:
    """A text centred in its box.

    Attributes:
        text: one line, shortened if necessary.
        box: of the text; `turned` text runs from bottom to top.
        size: of the type in pixels.
        faint: whether it is the title of an axis rather than one of its values.
        align: in the box.

    """

    text: str
    box: Box
    size: int
    turned: bool = False
    faint: bool = False
    align: Literal["center", "right"] = "center"

    def translate(self, right: int, down: int) -> "Label":
        """Return the label moved right and down, in pixels."""
        return replace(self, box=self.box.translate(right, down))


@dataclass(frozen=True)
class Layout:
    """An empty sheet: its size in pixels, the boxes of the pictures, and the labels."""

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
    """A setting that varies along a table: its title, and its value in each column or row."""

    title: str
    heads: tuple[str, ...]


def lay_out_captioned(captions: Sequence[str], height: int, width: int, columns: int | None = None) -> Layout:
    """Return the layout of a grid of pictures, each with a caption below.

    Args:
        captions: one for each picture.
        height: of a cell in pixels.
        width: of a cell in pixels.
        columns: number of columns; None for a sheet about one and a half times as wide as high.

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
    """Return the layout of a table with labelled columns and rows, or of several with a caption above each.

    Args:
        across: what varies along the columns.
        down: what varies along the rows; None for a single row.
        blocks: the captions of the tables; empty for one table without.
        height: of a cell in pixels.
        width: of a cell in pixels.
        columns: number of tables side by side; as for `lay_out_captioned` if None.

    Returns:
        The layout; its cells go row by row through each table.

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
    grid = block.labels[0].box  # above which the title of the columns is centred
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
    """Return one table without margins, each column at least `smallest_type` wide."""
    gutter, line = _gutter(type_), type_.line
    wide, high = len(across.heads), len(down.heads) if down else 1
    slot = max(smallest_type, _slot(across.heads, width, type_), _share(across.title, wide, type_))
    tall = max(height, line, _share(down.title, high, type_)) if down else height
    heads = _slot(down.heads, 0, type_) if down else 0
    # The title of the rows stands turned, left of their values.
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
    """Return the number of columns that brings a sheet nearest to the preferred shape."""

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
    """Return the width of a column: that of its picture, or of its longest label up to a limit."""
    widest = _WIDEST * type_.size
    return max([width, *(type_.width(type_.fit(text, widest)) for text in texts)])


def _share(title: str, count: int, type_: Lettering) -> int:
    """Return the least size of each of `count` columns or rows with which the title over all of them fits."""
    length = type_.width(type_.fit(title, 2 * _WIDEST * type_.size))
    return math.ceil((length - (count - 1) * _gutter(type_)) / count)
