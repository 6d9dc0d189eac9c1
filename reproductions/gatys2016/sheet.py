"""Panels side by side on white, all of one height, each with a line under it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from impasto import Picture

# Ours, looked at: legible when a sheet of panels 170 px high is shown as it is, and in proportion above.
TYPE_HEIGHT: Final = 1 / 18
LEAST_TYPE: Final = 12  # px
HEADING: Final = 1.25  # size of the first line of the heading, in sizes of the labels
GAP: Final = 0.75  # between panels and around the sheet, in sizes of the labels
LEADING: Final = 1.4  # height of a line, in sizes of its type

INK: Final = "black"
PAPER: Final = "white"


@dataclass(frozen=True)
class Cell:
    """A picture and the line under it."""

    label: str
    picture: Picture


def contact_sheet(heading: Sequence[str], rows: Sequence[Sequence[Cell | None]], height: int) -> Image.Image:
    """Return an RGB image with all cells in a grid.

    Args:
        heading: lines above the grid, the first one larger.
        rows: from top to bottom; None leaves a place empty.
        height: to which each picture is scaled, in pixels; a picture of that height is shown pixel by pixel.

    """
    size = max(LEAST_TYPE, round(height * TYPE_HEIGHT))
    gap, line = round(size * GAP), round(size * LEADING)
    titles = [(text, _font(size if index else size * HEADING)) for index, text in enumerate(heading)]
    label_font = _font(size)
    images = [[None if cell is None else scaled(cell.picture, height) for cell in row] for row in rows]
    widths = _column_widths(rows, images, label_font)
    inner = max([sum(widths) + gap * (len(widths) - 1), *(_length(text, font) for text, font in titles)])
    top = gap + sum(_step(font) for _, font in titles)
    sheet = Image.new("RGB", (inner + 2 * gap, top + len(rows) * (gap + height + line) + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_lines(draw, gap, titles)
    for row, row_images in zip(rows, images, strict=True):
        top += gap
        left = gap
        # A row may be shorter than the grid is wide.
        for cell, image, width in zip(row, row_images, widths, strict=False):
            if cell is not None and image is not None:
                sheet.paste(image, (left, top))
                draw.text((left, top + height + (line - size) // 2), cell.label, fill=INK, font=label_font)
            left += width + gap
        top += height + line
    return sheet


def scaled(picture: Picture, height: int) -> Image.Image:
    """Return `picture` on white, `height` pixels high."""
    image = picture.to_pil()
    if image.mode == "RGBA":
        paper = Image.new("RGB", image.size, PAPER)
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    if image.height == height:
        return image
    width = max(1, round(image.width * height / image.height))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _column_widths(
    rows: Sequence[Sequence[Cell | None]], images: Sequence[Sequence[Image.Image | None]], font: ImageFont.FreeTypeFont
) -> list[int]:
    needed = [
        [max(image.width, _length(cell.label, font)) if cell and image else 0 for cell, image in zip(*row, strict=True)]
        for row in zip(rows, images, strict=True)
    ]
    return [max(column) for column in zip_longest(*needed, fillvalue=0)]


def _draw_lines(draw: ImageDraw.ImageDraw, corner: int, lines: Sequence[tuple[str, ImageFont.FreeTypeFont]]) -> None:
    top = corner
    for text, font in lines:
        draw.text((corner, top), text, fill=INK, font=font)
        top += _step(font)


def _step(font: ImageFont.FreeTypeFont) -> int:
    return round(font.size * LEADING)


def _length(text: str, font: ImageFont.FreeTypeFont) -> int:
    return round(font.getlength(text)) + 1


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    # Without FreeType, Pillow's own answer to a size is an error, so this is no other kind.
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
