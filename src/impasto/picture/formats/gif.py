"""GIF, read by Pillow, which gets to see the first picture only: what comes behind it may be damaged."""

import re
from dataclasses import dataclass, replace

import numpy as np

from impasto.picture.formats.damage import CUT_BEHIND, DamagedError
from impasto.picture.formats.format import Format, begins_with
from impasto.picture.formats.pillow import ANIMATED, PillowReader
from impasto.picture.formats.samples import Samples
from impasto.picture.limits import Limits

# GIF89a, sections 18 to 27
_HEADER, _DESCRIPTOR = 13, 10
_PICTURE, _EXTENSION, _END = b",", b"!", b";"
_NEXT = re.compile(b"[,!;]")


@dataclass(frozen=True)
class _First:
    """The first picture of a GIF: a file of its own, where on the canvas it is, and notes."""

    data: bytes
    left: int
    top: int
    right: int
    bottom: int
    notes: tuple[str, ...]


def _first(data: bytes) -> _First:
    """Return the first picture.

    Raises:
        DamagedError: There is none.

    """
    at = _skip(data, _HEADER + _table(data[10:11]))
    if data[at : at + 1] != _PICTURE or at + _DESCRIPTOR + 1 > len(data):
        raise DamagedError("the file ends before its picture")
    left, top, width, height = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (1, 3, 5, 7))
    # Behind the table of colours is the smallest size of a code.
    end = _blocks_end(data, at + _DESCRIPTOR + _table(data[at + 9 : at + 10]) + 1)
    behind = _skip(data, end)
    notes = () if behind < len(data) else (CUT_BEHIND,)
    if data[behind : behind + 1] == _PICTURE:
        notes = (ANIMATED,)
    # If the file ends within its blocks, the decoder finds out whether pixels are missing.
    return _First(data[:end] + _END, left, top, left + width, top + height, notes)


def _table(packed: bytes) -> int:
    """Return the bytes of the table of colours that a packed field declares."""
    return 3 << (packed[0] & 7) + 1 if packed and packed[0] & 128 else 0


def _skip(data: bytes, at: int) -> int:
    """Return where the next picture or the end of the file is, behind extensions and bytes that begin nothing."""
    while (match := _NEXT.search(data, at)) and match[0] == _EXTENSION:
        at = _blocks_end(data, match.start() + 2)
    return match.start() if match else len(data)


def _blocks_end(data: bytes, at: int) -> int:
    """Return where the blocks that begin at `at` end, behind the empty one."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the first picture. As in browsers, the canvas around it is transparent."""
    first = _first(data)
    samples = _READER.decode(first.data, name, limits)
    samples = replace(samples, notes=samples.notes + first.notes)
    height, width = samples.size
    if first.left == first.top == 0 and first.right >= width and first.bottom >= height:
        return samples
    inside = np.zeros((height, width), np.uint8)
    inside[first.top : first.bottom, first.left : first.right] = 255
    return replace(samples, alpha=inside if samples.alpha is None else np.minimum(samples.alpha, inside))


_READER = PillowReader("GifImagePlugin.GifImageFile")
FORMAT = Format(
    "GIF",
    begins_with(b"GIF87a", b"GIF89a"),
    decode,
    lambda data, name, limits: _READER.measure(_first(data).data, name, limits),
    (".gif",),
)
