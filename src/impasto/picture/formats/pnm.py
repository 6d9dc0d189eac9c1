"""PNM (PBM, PGM, PPM, plain and raw, and PAM; 1 to 16 bits). Pillow scales 16-bit colour down to 8 bits."""

import re
from itertools import islice

import numpy as np

from impasto.errors import PictureError
from impasto.picture.formats.bounds import upright_size
from impasto.picture.formats.damage import DamagedError
from impasto.picture.formats.format import Format
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Stored
from impasto.picture.limits import Limits
from impasto.system.text import printable

# Netpbm's ppm(5): whitespace and comments separate the header's numbers.
_NUMBER = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\n\r]*+)*+(\d{1,9})")
_COMMENT = re.compile(rb"#[^\n\r]*")
_PAM = 7
_LONGEST_HEADER = 4096  # ours: a PAM's takes about 70 bytes, and comments
_WORD = re.compile(rb"\S+")


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the first picture in a PNM file.

    Raises:
        PictureError: The declared size is over the limits.
        DamagedError: The file is damaged, or pixels are missing.
    """
    kind = data[1] - ord("0")
    if kind == _PAM:
        return _decode_pam(data, name, limits)
    bitmap, plain = kind in (1, 4), kind < 4
    channels = 3 if kind in (3, 6) else 1
    at, header = 2, []
    for _ in range(2 if bitmap else 3):
        match = _NUMBER.match(data, at)
        if match is None:
            raise DamagedError("the header is incomplete")
        at = match.end()
        header.append(int(match[1]))
    width, height, top = (*header, 1)[:3]
    limits.check(width, height, name)
    _check_top(top)
    # One whitespace byte ends the header of a raw file; pixels follow at once and may look like whitespace.
    count = width * height * channels
    numbers = (
        _plain(data[at:], count, bitmap) if plain else _raw(data[at + 1 :], (height, width, channels), top, bitmap)
    )
    values = numbers.reshape(height, width, channels)
    values = (255 * (values == 0)).astype(np.uint8) if bitmap else _full_range(values, top)
    return Samples(values, "rgb" if channels == 3 else "gray", bits=8 if top < 256 else 16)


def _decode_pam(data: bytes, name: str, limits: Limits) -> Samples:
    # Netpbm's pam(5): a line for each field of the header, in any order.
    header, end, body = data[:_LONGEST_HEADER].partition(b"\nENDHDR\n")
    if not end:
        raise DamagedError("the header is incomplete")
    fields = dict(line.split(None, 1) for line in header.splitlines()[1:] if line.strip() and line[:1] != b"#")
    try:
        width, height, depth, top = (int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError) as error:
        raise DamagedError("the header is incomplete") from error
    limits.check(width, height, name)
    _check_top(top)
    if not 1 <= depth <= 4:
        raise PictureError(f"{printable(name)}: a PAM of {depth} channels is not read; convert it to RGB")
    body = data[len(header) + len(end) :]
    values = _full_range(_raw(body, (height, width, depth), top, bitmap=False).reshape(height, width, depth), top)
    colours = 1 if depth < 3 else 3
    return Samples(
        values=values[:, :, :colours],
        space="gray" if colours == 1 else "rgb",
        alpha=values[:, :, colours] if depth > colours else None,
        bits=8 if top < 256 else 16,
    )


def _check_top(top: int) -> None:
    if not 1 <= top <= 65535:
        raise DamagedError(f"the largest value is {top}, not within 1 to 65535")


def _full_range(values: Stored, top: int) -> Stored:
    if top in (255, 65535):
        levels: Stored = np.minimum(values, top).astype(np.uint8 if top == 255 else np.uint16)
        return levels
    floats: Stored = np.minimum(values.astype(np.float32) / np.float32(top), np.float32(1))
    return floats


def _raw(data: bytes, shape: tuple[int, int, int], top: int, bitmap: bool) -> Stored:
    height, width, channels = shape
    kind = np.dtype(">u2" if top > 255 else "u1")
    count = height * ((width + 7) // 8) if bitmap else height * width * channels
    if len(data) < count * kind.itemsize:
        raise DamagedError("the pixels are incomplete")
    values = np.frombuffer(data, kind, count)
    return np.unpackbits(values.reshape(height, -1), axis=1)[:, :width] if bitmap else values


def _plain(data: bytes, count: int, bitmap: bool) -> Stored:
    body = _COMMENT.sub(b" ", data)
    if bitmap:
        # In a plain bitmap the digits need not be separated.
        body = body.translate(None, b" \t\n\v\f\r")
        if len(body) < count:
            raise DamagedError("the pixels are incomplete")
        digits = np.frombuffer(body, np.uint8, count) - ord("0")
        if digits.max(initial=0) > 1:
            raise DamagedError("a bitmap holds only 0 and 1")
        return digits
    # A number takes a byte and a space at least, the last one no space.
    if len(body) < 2 * count - 1:
        raise DamagedError("the pixels are incomplete")
    # One by one: all words at once would take twenty times the file.
    words = islice(_WORD.finditer(body), count)
    numbers = np.fromiter((_number(match[0]) for match in words), np.int32)
    if len(numbers) < count:
        raise DamagedError("the pixels are incomplete")
    return numbers


def _number(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 9):
        raise DamagedError("there is something else between its numbers")
    return int(word)


def _matches(data: bytes) -> bool:
    return data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6", b"7") and data[2:3] in b" \t\r\n#"


FORMAT = Format(
    "PNM",
    _matches,
    decode,
    lambda data, name, limits: upright_size(decode(data, name, limits)),
    (".ppm", ".pgm", ".pbm", ".pam"),
)
