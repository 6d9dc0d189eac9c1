"""Text as pixels, in Pillow's built-in typeface, so that a sheet looks the same on every system."""

import bisect
import functools
import math
import unicodedata
from typing import Final

from PIL import Image, ImageDraw, ImageFont

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

        A character that the typeface lacks is drawn without its accent, or as a question mark.
        """
        if not isinstance(self._font, ImageFont.FreeTypeFont):
            return self._bitmap(text, self._font)
        text = "".join(map(_replace_missing, text))
        left, _, right, _ = self._font.getbbox(text, anchor="ls")
        image = Image.new("L", (max(1, math.ceil(right) - math.floor(left)), self.line), 0)
        ascent, descent = self._font.getmetrics()
        baseline = (self.line - ascent - descent) // 2 + ascent
        ImageDraw.Draw(image).text((-math.floor(left), baseline), text, fill=255, font=self._font, anchor="ls")
        return image

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


@functools.lru_cache(maxsize=4096)
def _replace_missing(letter: str) -> str:
    """Return the character to draw for a character: itself if the typeface has it."""
    for candidate in (letter, unicodedata.normalize("NFKD", letter)[0]):
        if candidate.isspace() or _glyph(candidate) != _glyph("\uffff"):
            return candidate
    return "?"


def _glyph(letter: str) -> bytes:
    font = _font(16)  # any size
    assert isinstance(font, ImageFont.FreeTypeFont)
    return bytes(font.getmask(letter))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size=size)
    except (ImportError, OSError):
        return ImageFont.load_default_imagefont()  # Pillow was built without FreeType


def _shorten(text: str, n_kept: int, dots: str) -> str:
    tail = n_kept // 2
    return text[: n_kept - tail] + dots + (text[len(text) - tail :] if tail else "")
