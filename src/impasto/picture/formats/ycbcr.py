"""YCbCr in a TIFF that is not JPEG-compressed (TIFF 6.0, section 21), which tifffile leaves to its caller."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from impasto.errors import PictureError
from impasto.picture.formats.damage import DamagedError
from impasto.picture.levels import Floats, Stored
from impasto.system.text import printable

if TYPE_CHECKING:
    from tifffile import TiffPage

_COEFFICIENTS, _SUBSAMPLING, _REFERENCE = 529, 530, 532
_NO_COMPRESSION = 1


def subsampling(page: "TiffPage") -> tuple[int, int]:
    """Return how many luma samples share a chroma sample: (across, down)."""
    tag = page.tags.get(_SUBSAMPLING)
    across, down = (2, 2) if tag is None else tag.value
    if across not in (1, 2, 4) or down not in (1, 2, 4):
        raise DamagedError(f"chroma subsampling {across} x {down} does not exist")
    return across, down


def unpack(page: "TiffPage", data: bytes, name: str) -> NDArray[np.uint8]:
    """Return (H, W, 3) Y, Cb, Cr of 8 bits from subsampled strips, chroma repeated.

    Raises:
        PictureError: Tiles, planes, other depths or a predictor, none of which go with subsampling in practice.
    """
    import tifffile

    if page.is_tiled or page.planarconfig != 1 or page.bitspersample != 8 or page.predictor != 1:
        raise PictureError(
            f"{printable(name)}: a TIFF of subsampled YCbCr in this layout is not read; convert it to RGB"
        )
    across, down = subsampling(page)
    columns = -(-page.imagewidth // across)
    height = page.imagelength
    per_strip = min(page.rowsperstrip, height)
    strips: list[NDArray[np.uint8]] = []
    for top, offset, count in zip(range(0, height, per_strip), page.dataoffsets, page.databytecounts, strict=True):
        blocks = -(-min(per_strip, height - top) // down)
        size = blocks * columns * (across * down + 2)
        strip = data[offset : offset + count]
        if page.compression != _NO_COMPRESSION:
            strip = bytes(tifffile.TIFF.DECOMPRESSORS[page.compression](strip, out=size))
        units = np.frombuffer(strip, np.uint8, size).reshape(blocks, columns, across * down + 2)
        squares = units[:, :, :-2].reshape(blocks, columns, down, across)
        luma = squares.swapaxes(1, 2).reshape(blocks * down, columns * across)
        chroma = units[:, :, -2:].repeat(down, axis=0).repeat(across, axis=1)
        strips.append(np.dstack([luma, chroma])[: min(per_strip, height - top), : page.imagewidth])
    return np.concatenate(strips)


def to_rgb(page: "TiffPage", values: Stored) -> Floats:
    """Return (H, W, 3) RGB in [0, 1]."""
    red, green, blue = _rationals(page, _COEFFICIENTS, (0.299, 0.587, 0.114))
    top = 2.0**page.bitspersample - 1
    half = (top + 1) / 2
    black = np.array(_rationals(page, _REFERENCE, (0, top, half, top, half, top)))
    low, high = black[::2], black[1::2]
    # Luma runs over [0, 1] and chroma over [-1/2, 1/2] between the reference levels.
    scaled = (values - low) / (high - low) * [1, 0.5, 0.5]
    luma, cb, cr = np.moveaxis(scaled, -1, 0)
    r = luma + cr * (2 - 2 * red)
    b = luma + cb * (2 - 2 * blue)
    g = (luma - blue * b - red * r) / green
    rgb: Floats = np.clip(np.stack([r, g, b], axis=-1), 0, 1).astype(np.float32)
    return rgb


def _rationals(page: "TiffPage", code: int, default: tuple[float, ...]) -> tuple[float, ...]:
    tag = page.tags.get(code)
    if tag is None or len(tag.value) != 2 * len(default):
        return default
    return tuple(a / b for a, b in zip(tag.value[::2], tag.value[1::2], strict=True))
