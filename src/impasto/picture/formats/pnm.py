"""PNM (PBM, PGM, PPM; plain and raw; 1 to 16 bits). Pillow scales 16-bit colour down to 8 bits, so this is our own."""

import re
from itertools import islice

import numpy as np

from impasto.picture.formats.bounds import upright_size
from impasto.picture.formats.format import Format
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Stored
from impasto.picture.limits import Limits

# Netpbm's ppm(5): whitespace and comments separate the header's numbers.
_NUMBER = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\n\r]*+)*+(\d{1,9})")
_COMMENT = re.compile(rb"#[^\n\r]*")
_WORD = re.compile(rb"\S+")


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the first picture in a PNM file.

    Raises:
        PictureError: The declared size is over the limits.
        ValueError: The file is damaged.
    """
    kind = data[1] - ord("0")
    bitmap, plain = kind in (1, 4), kind < 4
    channels = 3 if kind in (3, 6) else 1
    at, header = 2, []
    for _ in range(2 if bitmap else 3):
        match = _NUMBER.match(data, at)
        if match is None:
            raise ValueError("the header is incomplete")
        at = match.end()
        header.append(int(match[1]))
    width, height, top = (*header, 1)[:3]
    limits.check(width, height, name)
    if not 1 <= top <= 65535:
        raise ValueError(f"the largest value is {top}, not within 1 to 65535")
    # One whitespace byte ends the header of a raw file; pixels follow at once and may look like whitespace.
    count = width * height * channels
    numbers = (
        _plain(data[at:], count, bitmap) if plain else _raw(data[at + 1 :], (height, width, channels), top, bitmap)
    )
    values = numbers.reshape(height, width, channels)
    if bitmap:
        values = (255 * (values == 0)).astype(np.uint8)
    elif top not in (255, 65535):
        values = np.minimum(values.astype(np.float32) / np.float32(top), np.float32(1))
    else:
        values = np.minimum(values, top).astype(np.uint8 if top == 255 else np.uint16)
    return Samples(values, "rgb" if channels == 3 else "gray", bits=8 if top < 256 else 16)


def _raw(data: bytes, shape: tuple[int, int, int], top: int, bitmap: bool) -> Stored:
    height, width, channels = shape
    if bitmap:
        rows = np.frombuffer(data, np.uint8, height * ((width + 7) // 8)).reshape(height, -1)
        return np.unpackbits(rows, axis=1)[:, :width]
    return np.frombuffer(data, ">u2" if top > 255 else "u1", height * width * channels)


def _plain(data: bytes, count: int, bitmap: bool) -> Stored:
    body = _COMMENT.sub(b" ", data)
    if bitmap:
        # In a plain bitmap the digits need not be separated.
        digits = np.frombuffer(body.translate(None, b" \t\n\v\f\r"), np.uint8, count) - ord("0")
        if digits.max(initial=0) > 1:
            raise ValueError("a bitmap holds only 0 and 1")
        return digits
    # A number takes a byte and a space at least, the last one no space.
    if len(body) < 2 * count - 1:
        raise ValueError(f"expected {count} numbers")
    # One by one: all words at once would take twenty times the file.
    words = islice(_WORD.finditer(body), count)
    return np.fromiter((_number(match[0]) for match in words), np.int32, count)


def _number(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 9):
        raise ValueError(f"expected numbers and found {word[:9]!r}")
    return int(word)


def _matches(data: bytes) -> bool:
    return data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6") and data[2:3] in b" \t\r\n#"


FORMAT = Format(
    "PNM",
    _matches,
    decode,
    lambda data, name, limits: upright_size(decode(data, name, limits)),
    (".ppm", ".pgm", ".pbm"),
)
