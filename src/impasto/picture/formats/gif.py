"""GIF, read by Pillow; of an animation the first frame."""

import struct
from dataclasses import replace

import numpy as np

from impasto.picture.formats.format import Format, begins_with
from impasto.picture.formats.pillow import PillowReader
from impasto.picture.formats.samples import Samples
from impasto.picture.limits import Limits

OUTSIDE = "The first frame covers a part of the GIF; the rest is transparent."


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the first frame; what it does not cover is transparent."""
    samples = _READER.decode(data, name, limits)
    left, top, width, height = _frame(data)
    if left == top == 0 and height >= samples.size[0] and width >= samples.size[1]:
        return samples
    covered = np.zeros(samples.size, np.uint8)
    covered[top : top + height, left : left + width] = 255
    alpha = covered if samples.alpha is None else np.minimum(covered, samples.alpha)
    return replace(samples, alpha=alpha, notes=(*samples.notes, OUTSIDE))


def _frame(data: bytes) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the first frame in pixels (GIF89a, 18 to 20 and appendix A)."""
    at = 13 + _table_bytes(data[10])
    while data[at] == _EXTENSION:
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    left, top, width, height = struct.unpack_from("<4H", data, at + 1)
    return left, top, width, height


def _table_bytes(flags: int) -> int:
    """Return the length of the colour table that the flags of the screen announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


_EXTENSION = 0x21
_READER = PillowReader("GifImagePlugin.GifImageFile")
FORMAT = Format("GIF", begins_with(b"GIF87a", b"GIF89a"), decode, _READER.measure, (".gif",))
