"""Text as pixels: in Pillow's built-in typeface, the same on every system, and beyond it in the system's fonts."""

import bisect
import functools
import itertools
import math
import operator
import unicodedata
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from impasto.sheets.fonts import find_font, has_letter, load_font
from impasto.system.text import printable

# Ours: height of a line relative to the size of its type; ascenders and descenders fit in.
LEADING: Final = 1.4
# Ours: far more characters than fit on a line; longer texts are not measured.
_LONGEST: Final = 400


class Lettering:
    """Text of one size.

    Args:
        size: of the type in pixels, above 0.

    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.line = math.ceil(size * LEADING)  # height of a line, px
        self._font = _font(size)

    def width(self, text: str) -> int:
        """Return the width of a text in pixels."""
        return self.mask(text).width if text else 0

    def mask(self, text: str) -> Image.Image:
        """Return a text as an 8-bit image, 255 where there is ink; as wide as the ink and one line high.

        A letter that no font has is drawn without its accent, or as a question mark.
        """
        if not isinstance(self._font, ImageFont.FreeTypeFont):
            return self._bitmap(text, self._font)
        pieces = self._pieces(text)
        starts = [0, *itertools.accumulate(round(font.getlength(part)) for part, font in pieces)]
        bounds = [font.getbbox(part, anchor="ls") for part, font in pieces]
        left = min([0, *(start + math.floor(bound[0]) for start, bound in zip(starts, bounds, strict=False))])
        right = max([1, *(start + math.ceil(bound[2]) for start, bound in zip(starts, bounds, strict=False))])
        image = Image.new("L", (right - left, self.line), 0)
        ascent, descent = self._font.getmetrics()
        baseline = (self.line - ascent - descent) // 2 + ascent
        pen = ImageDraw.Draw(image)
        for (part, font), start in zip(pieces, starts, strict=False):
            pen.text((start - left, baseline), part, fill=255, font=font, anchor="ls")
        return image

    def lacks(self, text: str) -> bool:
        """Tell whether a letter of the text is in no font, so that a question mark is drawn for it."""
        if not isinstance(self._font, ImageFont.FreeTypeFont):
            return any(letter > "\xff" for letter in text)
        return any(_drawn(letter) == ("?", None) and letter != "?" for letter in text)

    def _pieces(self, text: str) -> list[tuple[str, ImageFont.FreeTypeFont]]:
        """Return the parts of a text, each with the font that has its letters."""
        assert isinstance(self._font, ImageFont.FreeTypeFont)
        parts = itertools.groupby(map(_drawn, text), key=operator.itemgetter(1))
        return [
            ("".join(letter for letter, _ in part), load_font(file, self.size) if file else self._font)
            for file, part in parts
        ]

    def fit(self, text: str, width: int) -> str:
        """Return a text of at most `width` pixels: one line, control characters escaped, shortened in the middle."""
        text = printable(text)
        if len(text) > _LONGEST:
            text = _shorten(text, _LONGEST, self._dots)
        if self.width(text) <= width:
            return text
        lengths = range(len(text))
        longest = bisect.bisect_right(lengths, width, key=lambda n: self.width(_shorten(text, n, self._dots))) - 1
        return _shorten(text, longest, self._dots) if longest >= 0 else ""

    @property
    def _dots(self) -> str:
        return "\N{HORIZONTAL ELLIPSIS}" if isinstance(self._font, ImageFont.FreeTypeFont) else "..."

    def _bitmap(self, text: str, font: ImageFont.ImageFont) -> Image.Image:
        # Pillow's bitmap font has Latin-1 only, in one size, which is enlarged by whole numbers.
        data = text.encode("latin-1", "replace").decode("latin-1")
        left, top, right, bottom = map(round, font.getbbox(data))
        small = Image.new("1", (max(1, right - left), max(1, bottom - top)))
        ImageDraw.Draw(small).text((-left, -top), data, fill=1, font=font)
        factor = max(1, self.size // small.height)
        large = small.convert("L").resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
        image = Image.new("L", (large.width, self.line), 0)
        image.paste(large, (0, (self.line - large.height) // 2))
        return image


def _drawn(letter: str) -> tuple[str, str | None]:
    """Return the letter to draw for a letter, and the file of its font; None for the built-in one."""
    if _is_built_in(letter):
        return letter, None
    file = find_font(letter)
    if file is not None:
        return letter, file
    plain = unicodedata.normalize("NFKD", letter)[0]
    return (plain, None) if _is_built_in(plain) else ("?", None)


@functools.lru_cache(maxsize=4096)
def _is_built_in(letter: str) -> bool:
    font = _font(16)  # any size
    assert isinstance(font, ImageFont.FreeTypeFont)
    return has_letter(font, letter)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size=size)
    except (ImportError, OSError):
        return ImageFont.load_default_imagefont()  # Pillow was built without FreeType


def _shorten(text: str, n_kept: int, dots: str) -> str:
    tail = n_kept // 2
    return text[: n_kept - tail] + dots + (text[len(text) - tail :] if tail else "")
