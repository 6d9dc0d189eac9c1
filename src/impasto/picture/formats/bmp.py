"""BMP: read by Pillow, but where pixels are bit fields, of which Pillow knows a few; and their colours."""

import struct
from dataclasses import dataclass, replace

import numpy as np

from impasto.errors import PictureError
from impasto.picture.formats.bounds import without_long_profile
from impasto.picture.formats.damage import DamagedError
from impasto.picture.formats.format import Format, begins_with
from impasto.picture.formats.pillow import PillowReader, plausible_dpi
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Stored
from impasto.picture.limits import Limits
from impasto.picture.profiles import gamma_profile
from impasto.system.text import printable

LINKED_PROFILE = "The BMP names a colour profile in another file, which is not read; its colours were taken as sRGB."

# Windows GDI, BITMAPINFOHEADER to BITMAPV5HEADER, and OS/2's: sizes of the headers, places from the header's start
_FILE_HEADER, _OS2_HEADER, _INFO_HEADER, _V4_HEADER, _V5_HEADER = 14, 12, 40, 108, 124
_HEADERS = (_OS2_HEADER, _INFO_HEADER, 52, 56, 64, _V4_HEADER, _V5_HEADER)
_MASKS, _COLOUR_SPACE, _ENDPOINTS, _GAMMA, _PROFILE = 40, 56, 60, 96, 112
_RGB, _RLE8, _RLE4, _BIT_FIELDS, _ALPHA_BIT_FIELDS = 0, 1, 2, 3, 6
_CALIBRATED, _EMBEDDED, _LINKED = b"\0\0\0\0", b"DEBM", b"KNIL"
_DEPTHS = {
    _RGB: (1, 4, 8, 16, 24, 32),
    _RLE8: (8,),
    _RLE4: (4,),
    _BIT_FIELDS: (16, 24, 32),
    _ALPHA_BIT_FIELDS: (16, 32),
}
_COMMON_MASKS = (0xFF0000, 0xFF00, 0xFF)


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    is_top_down: bool
    depth: int
    pixels_at: int
    dpi: tuple[float, float] | None
    masks: tuple[int, ...]  # of red, green, blue and alpha; empty where the pixels are no bit fields


def _header(data: bytes, name: str) -> _Header | None:
    """Return the header; None for OS/2's, which has no bit fields.

    Raises:
        PictureError: A kind of BMP that is not read.
        struct.error: The header is cut short.

    """
    pixels_at, size = struct.unpack_from("<II", data, 10)
    if size in (_OS2_HEADER, 64):
        return None
    if size not in _HEADERS:
        raise PictureError(f"{printable(name)}: a BMP with a header of {size} bytes is not read; save it as PNG")
    width, height, _, depth, compression, _, *density = struct.unpack_from("<iiHHIIii", data, _FILE_HEADER + 4)
    if depth not in _DEPTHS.get(compression, ()):
        raise PictureError(
            f"{printable(name)}: a BMP of {depth} bits a pixel, compressed by method {compression}, is not read; "
            "save it as PNG"
        )
    masks: tuple[int, ...] = ()
    has_alpha = size >= 56 or compression == _ALPHA_BIT_FIELDS
    if depth != 24 and (compression in (_BIT_FIELDS, _ALPHA_BIT_FIELDS) or (depth == 32 and size >= 56)):
        masks = struct.unpack_from("<IIII" if has_alpha else "<III", data, _FILE_HEADER + _MASKS)
        masks = (*masks, 0)[:4]
        if compression == _RGB or not any(masks[:3]):
            masks = (*_COMMON_MASKS, masks[3])
    return _Header(
        width=width,
        height=abs(height),
        is_top_down=height < 0,
        depth=depth,
        pixels_at=pixels_at or _FILE_HEADER + size + (4 * (3 + has_alpha) if masks and size == _INFO_HEADER else 0),
        dpi=plausible_dpi(density, 0.0254),
        masks=masks,
    )


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the picture.

    Raises:
        PictureError: The declared size is over the limits, or a kind of BMP that is not read.
        DamagedError: Pixels are missing.

    """
    header = _header(data, name)
    if header is None:
        return _READER.decode(data, name, limits)
    limits.check(header.width, header.height, name)
    samples = _bit_fields(data, header, name) if header.masks else _READER.decode(data, name, limits)
    return without_long_profile(_with_colours(samples, data), limits)


def _bit_fields(data: bytes, header: _Header, name: str) -> Samples:
    used = header.width * header.depth // 8
    stride = -(-used // 4) * 4
    if header.pixels_at + stride * (header.height - 1) + used > len(data):
        raise DamagedError("the pixels are incomplete")
    kind = f"<u{header.depth // 8}"
    # The last row may come without the bytes that fill it up.
    body = data[header.pixels_at : header.pixels_at + stride * header.height].ljust(stride * header.height, b"\0")
    rows = np.frombuffer(body, kind).reshape(header.height, -1)[:, : header.width]
    rows = rows if header.is_top_down else rows[::-1]
    is_deep = any(mask.bit_count() > 8 for mask in header.masks)
    *colours, alpha = (_field(rows, mask & (1 << header.depth) - 1, is_deep, name) for mask in header.masks)
    return Samples(
        values=np.stack(colours, axis=2),
        space="rgb",
        # Programs that write no alpha leave its bits at 0.
        alpha=alpha if alpha.any() else None,
        bits=16 if is_deep else 8,
        dpi=header.dpi,
    )


def _field(pixels: Stored, mask: int, is_deep: bool, name: str) -> Stored:
    """Return the numbers under a mask: uint8 of the full range, or float32 in [0, 1] if they are deep."""
    if not mask:
        return np.zeros(pixels.shape, np.float32 if is_deep else np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    if top & (top + 1):
        raise PictureError(f"{printable(name)}: a BMP whose bit fields have gaps is not read; save it as PNG")
    levels = (pixels & mask) >> shift
    if is_deep:
        deep: Stored = (levels / top).astype(np.float32)
        return deep
    scaled: Stored = (np.arange(top + 1) * 255 / top + 0.5).astype(np.uint8)[levels]
    return scaled


def _with_colours(samples: Samples, data: bytes) -> Samples:
    """Return the samples with the profile that a header of Windows 4 or 5 holds or describes."""
    size = int.from_bytes(data[_FILE_HEADER : _FILE_HEADER + 4], "little")
    if size not in (_V4_HEADER, _V5_HEADER):
        return samples
    space = data[_FILE_HEADER + _COLOUR_SPACE :][:4]
    if space == _CALIBRATED:
        # CIE XYZ of red, green and blue as fixed-point numbers of 30 bits, and three gammas of 16.
        *endpoints, gamma = (number / 2**30 for number in struct.unpack_from("<9iI", data, _FILE_HEADER + _ENDPOINTS))
        corners = np.reshape(endpoints, (3, 3))
        white = corners.sum(axis=0)
        points = [(x / (x + y + z), y / (x + y + z)) for x, y, z in (white, *corners) if x + y + z > 0]
        usual = tuple(value for point in points for value in point) if len(points) == 4 else None
        profile = gamma_profile("rgb", gamma * 2**14, usual)
        return replace(samples, assumed_profile=profile)
    if size == _V5_HEADER and space == _EMBEDDED:
        at, length = struct.unpack_from("<II", data, _FILE_HEADER + _PROFILE)
        return replace(samples, icc_profile=data[_FILE_HEADER + at :][:length])
    if size == _V5_HEADER and space == _LINKED:
        return replace(samples, notes=(*samples.notes, LINKED_PROFILE))
    return samples


def _measure(data: bytes, name: str, limits: Limits) -> tuple[int, int]:
    header = _header(data, name)
    if header is None:
        return _READER.measure(data, name, limits)
    limits.check(header.width, header.height, name)
    return header.height, header.width


_READER = PillowReader("BmpImagePlugin.BmpImageFile")
FORMAT = Format("BMP", begins_with(b"BM"), decode, _measure, (".bmp",))
