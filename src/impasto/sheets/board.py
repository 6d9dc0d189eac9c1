"""A sheet that is drawn as its pictures are finished."""

import dataclasses
from typing import Final

import numpy as np
from PIL import Image

from impasto.picture import Picture, as_picture
from impasto.sheets.layout import Box, Label, Layout
from impasto.sheets.lettering import Lettering

# Ours: dark on light grey, on which both black and white pictures have an edge.
PAPER: Final = (238, 238, 238)
EMPTY: Final = (222, 222, 222)
INK: Final = (32, 32, 32)
FAINT: Final = (104, 104, 104)

LACKING: Final = "No font on this system has all letters of these labels, which are drawn as question marks: {}."


class Board:
    """A labelled sheet on which pictures are put one by one; cells without a picture stay empty.

    Only the sheet is kept in memory, not the pictures.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._image = Image.new("RGB", (layout.width, layout.height), PAPER)
        for box in layout.cells:
            self._fill(box, EMPTY)
        letterings = {size: Lettering(size) for size in {label.size for label in layout.labels}}
        lacking = []
        for label in layout.labels:
            self._write(label, letterings[label.size])
            if letterings[label.size].lacks(label.text):
                lacking.append(label.text)
        self._notes = (LACKING.format(", ".join(lacking)),) if lacking else ()

    def put(self, index: int, picture: Picture) -> None:
        """Put a picture into a cell, as large as fits, without resampling if it has its size. Alpha shows the paper."""
        self.put_image(index, picture.to_pil())

    def put_image(self, index: int, image: Image.Image) -> None:
        """Put an RGB or RGBA image into a cell, as `put` does."""
        box = self.layout.cells[index]
        self._fill(box, PAPER)
        image = fit(image, box.height, box.width)
        corner = box.left + (box.width - image.width) // 2, box.top + (box.height - image.height) // 2
        self._image.paste(image, corner, image.getchannel("A") if image.mode == "RGBA" else None)

    def picture(self) -> Picture:
        """Return the sheet in its present state; its notes name the labels that no font has all letters of."""
        return dataclasses.replace(as_picture(np.asarray(self._image)), notes=self._notes)

    def _fill(self, box: Box, colour: tuple[int, int, int]) -> None:
        self._image.paste(colour, (box.left, box.top, box.right, box.bottom))

    def _write(self, label: Label, lettering: Lettering) -> None:
        if not label.text:
            return
        mask = lettering.mask(label.text)
        if label.turned:
            mask = mask.transpose(Image.Transpose.ROTATE_90)
        box = label.box
        left = box.right - mask.width if label.align == "right" else box.left + (box.width - mask.width) // 2
        self._image.paste(FAINT if label.faint else INK, (left, box.top + (box.height - mask.height) // 2), mask)


def fit(image: Image.Image, height: int, width: int) -> Image.Image:
    """Return an image scaled to fit into `height` x `width` with its aspect ratio; itself if it has that size.

    Args:
        image: of any size.
        height: of the room in pixels.
        width: of the room in pixels.

    """
    factor = min(height / image.height, width / image.width)
    size = max(1, min(width, round(image.width * factor))), max(1, min(height, round(image.height * factor)))
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
