"""BMP, read by Pillow, but for channels of unusual widths, and with the profile that Pillow leaves out."""

import struct
from dataclasses import replace

import numpy as np

from impasto.picture.formats.format import Format, begins_with
from impasto.picture.formats.pillow import PillowReader
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Stored
from impasto.picture.limits import Limits

LINKED = "The BMP's colour profile is in another file; its colours were taken as sRGB."
DESCRIBED = "The BMP describes its colours by primaries and gamma, which are not read; they were taken as sRGB."

# BITMAPV5HEADER, https://learn.microsoft.com/windows/win32/api/wingdi/ns-wingdi-bitmapv5header: the place of the
# header, lengths of headers, and what `bV5CSType` may be.
_HEADER = 14
_INFO, _WITH_ALPHA, _V4, _V5 = 40, 56, 108, 124
_BITFIELDS = (3, 6)
_CALIBRATED, _EMBEDDED, _LINKED = 0, 0x4D424544, 0x4C494E4B
_READER = PillowReader("BmpImagePlugin.BmpImageFile")


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the picture, with the transparency and the profile in its header."""
    length = int.from_bytes(data[_HEADER : _HEADER + 4], "little")
    if length < _INFO or len(data) < _HEADER + length:
        return _READER.decode(data, name, limits)
    depth, compression = struct.unpack_from("<HI", data, _HEADER + 14)
    is_masked = compression in _BITFIELDS and depth in (16, 32)
    samples = _decode_masked(data, length, depth, name, limits) if is_masked else _READER.decode(data, name, limits)
    return _with_profile(samples, data, length)


def _decode_masked(data: bytes, length: int, depth: int, name: str, limits: Limits) -> Samples:
    """Return a picture whose channels are bits of a number that masks say.

    Raises:
        ValueError: The pixels are incomplete, or there is no mask for a colour.
    """
    width, height = struct.unpack_from("<ii", data, _HEADER + 4)
    limits.check(width, abs(height), name)
    row = -(-width * depth // 32) * 4
    (start,) = struct.unpack_from("<I", data, 10)
    if start + row * abs(height) > len(data):
        raise ValueError("the pixels are incomplete")
    numbers = np.frombuffer(data, np.uint8, row * abs(height), start).reshape(abs(height), row)
    numbers = numbers.view("<u2" if depth == 16 else "<u4")[:, :width]
    # Of a header without room for masks they follow.
    masks = struct.unpack_from("<3I", data, _HEADER + _INFO)
    alpha = struct.unpack_from("<I", data, _HEADER + 52)[0] if length >= _WITH_ALPHA else 0
    if not all(masks):
        raise ValueError("a colour has no bits")
    # Rows are from the bottom up where the height is positive.
    numbers = numbers[::-1] if height > 0 else numbers
    deepest = max(mask.bit_count() for mask in masks)
    kind = np.uint16 if deepest > 8 else np.uint8
    values = np.stack([_channel(numbers, mask, kind) for mask in masks], axis=2)
    return Samples(
        values=values, space="rgb", alpha=_channel(numbers, alpha, kind) if alpha else None, bits=8 * kind().itemsize
    )


def _channel(numbers: Stored, mask: int, kind: type[np.uint8] | type[np.uint16]) -> Stored:
    """Return the bits of a mask, scaled to the full range of `kind`."""
    shift = (mask & -mask).bit_length() - 1
    values = (numbers & mask) >> shift
    scaled: Stored = np.round(values * (np.iinfo(kind).max / (mask >> shift))).astype(kind)
    return scaled


def _with_profile(samples: Samples, data: bytes, length: int) -> Samples:
    if length < _V4:
        return samples
    (kind,) = struct.unpack_from("<I", data, _HEADER + 56)
    note: tuple[str, ...] = ()
    if kind == _EMBEDDED and length >= _V5:
        start, size = struct.unpack_from("<II", data, _HEADER + 112)
        profile = data[_HEADER + start : _HEADER + start + size]
        return replace(samples, icc_profile=profile) if len(profile) == size > 0 else samples
    if kind == _LINKED:
        note = (LINKED,)
    elif kind == _CALIBRATED and any(data[_HEADER + 60 : _HEADER + 96]):
        note = (DESCRIBED,)
    return replace(samples, notes=(*samples.notes, *note))


FORMAT = Format("BMP", begins_with(b"BM"), decode, _READER.measure, (".bmp",))
