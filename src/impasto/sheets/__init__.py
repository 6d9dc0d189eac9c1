"""Contact sheets: pictures in a grid with words beside them. Pillow only: no torch.

`lettering` knows how wide a text is, `layout` where everything stands, `board` draws it, `contact` makes a sheet of
finished pictures.
"""

from impasto.sheets.board import Board
from impasto.sheets.contact import LARGEST_CELL, SMALLEST_CELL, cell_side, sheet
from impasto.sheets.layout import Axis, Box, Label, Layout, lay_out_captioned, lay_out_table

__all__ = [
    "LARGEST_CELL",
    "SMALLEST_CELL",
    "Axis",
    "Board",
    "Box",
    "Label",
    "Layout",
    "cell_side",
    "lay_out_captioned",
    "lay_out_table",
    "sheet",
]
