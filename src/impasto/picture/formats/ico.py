"""Icons and cursors of Windows: a list of PNG files and of BMP files without their start. The largest is read."""

import struct
from dataclasses import replace

import numpy as np

from impasto.picture.formats import bmp, png
from impasto.picture.formats.damage import DamagedError
from impasto.picture.formats.format import Format
from impasto.picture.formats.png_chunks import SIGNATURE
from impasto.picture.formats.samples import Samples
from impasto.picture.limits import Limits

SEVERAL = "The icon holds several pictures; the largest was taken."

# Microsoft's ICONDIR and ICONDIRENTRY, and BITMAPINFOHEADER
_LIST, _ENTRY = 6, 16
_INFO_HEADER, _BIT_FIELDS = 40, 3


def _largest(data: bytes) -> bytes:
    """Return the largest picture, of equal ones the one that takes the most bytes.

    Raises:
        DamagedError: It is cut short.

    """
    entries = [struct.unpack_from("<BBBBHHII", data, _LIST + _ENTRY * n) for n in range(_count(data))]
    # 0 stands for 256.
    *_, length, at = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[6]))
    if at + length > len(data) or length < _INFO_HEADER:
        raise DamagedError("the pixels are incomplete")
    return data[at : at + length]


def _count(data: bytes) -> int:
    return int.from_bytes(data[4:6], "little")


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the largest picture."""
    picture = _largest(data)
    samples = (png.decode if picture.startswith(SIGNATURE) else _decode_bmp)(picture, name, limits)
    return replace(samples, notes=(*samples.notes, SEVERAL)) if _count(data) > 1 else samples


def _decode_bmp(data: bytes, name: str, limits: Limits) -> Samples:
    size, width, height, _, depth, compression = struct.unpack_from("<IiiHHI", data)
    # The mask's rows are counted with the picture's.
    height //= 2
    (colours,) = struct.unpack_from("<I", data, 32)
    pixels_at = size + (12 if compression == _BIT_FIELDS else 0) + 4 * ((colours or 1 << depth) if depth <= 8 else 0)
    start = b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, 14 + pixels_at)
    samples = bmp.decode(start + data[:8] + struct.pack("<i", height) + data[12:], name, limits)
    mask_at = pixels_at + (width * depth + 31) // 32 * 4 * height
    alpha = None
    if depth == 32:
        alpha = np.frombuffer(data, np.uint8, width * height * 4, pixels_at).reshape(height, width, 4)[::-1, :, 3]
    if alpha is None or not alpha.any():
        # Old icons have a mask alone: 1 where what lies behind is seen.
        mask = np.frombuffer(data, np.uint8, (width + 31) // 32 * 4 * height, mask_at).reshape(height, -1)[::-1]
        alpha = np.where(np.unpackbits(mask, axis=1)[:, :width], np.uint8(0), np.uint8(255))
    return replace(samples, alpha=alpha)


def _measure(data: bytes, name: str, limits: Limits) -> tuple[int, int]:
    picture = _largest(data)
    if picture.startswith(SIGNATURE):
        return png.measure(picture, name, limits)
    width, height = struct.unpack_from("<ii", picture, 4)
    limits.check(width, height // 2, name)
    return height // 2, width


FORMAT = Format(
    "ICO",
    # Truevision's TGA may begin with the same four bytes as a cursor, but has no count behind them.
    lambda data: data[:4] in (b"\0\0\1\0", b"\0\0\2\0") and _count(data) > 0,
    decode,
    _measure,
    (".ico", ".cur"),
)
