"""Contact sheets: pictures in a grid with labels. Pillow only, no torch.

`lettering` measures and draws text, `layout` computes where everything stands, `board` draws the sheet, and `contact`
makes a sheet of finished pictures.
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
