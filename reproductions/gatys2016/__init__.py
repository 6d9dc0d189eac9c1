"""Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016: its figures.

    python -m reproductions.gatys2016 figure_4 --content photo.jpg --style painting.jpg -o fig4.png --size 256

Figure 2 is a diagram of the method; there is nothing to paint.
"""

from reproductions.gatys2016.figures import (
    FIGURES,
    Figure,
    Panel,
    Settings,
    figure_1,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    figure_7,
)
from reproductions.gatys2016.sheet import Cell, contact_sheet

__all__ = [
    "FIGURES",
    "Cell",
    "Figure",
    "Panel",
    "Settings",
    "contact_sheet",
    "figure_1",
    "figure_3",
    "figure_4",
    "figure_5",
    "figure_6",
    "figure_7",
]
