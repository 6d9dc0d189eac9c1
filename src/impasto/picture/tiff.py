"""TIFF of every depth through tifffile. Pillow has no 16-bit colour, and its libtiff writes errors to the terminal."""

import contextlib
import logging
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from impasto.errors import PictureError
from impasto.messages import shown
from impasto.picture import ycbcr
from impasto.picture.levels import Floats, unit, unit_floats
from impasto.picture.limits import Limits
from impasto.picture.metadata import (
    DESCRIPTION,
    EXIF_IFD,
    PLACES,
    TAKEN,
    TAKEN_OFFSET,
    USER_COMMENT,
    Credits,
    user_comment,
)
from impasto.picture.pillow import plausible_dpi
from impasto.picture.profiles import Space
from impasto.picture.samples import Samples

if TYPE_CHECKING:
    from tifffile import TiffPage

SEVERAL_PAGES = "The TIFF holds several pages; the first was taken."

# TIFF 6.0 and its supplements
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ICC_PROFILE = 274, 282, 283, 296, 34675
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _CIELAB, _ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
_CHANNELS = {
    _WHITE_IS_ZERO: 1,
    _BLACK_IS_ZERO: 1,
    _RGB: 3,
    _PALETTE: 1,
    _CMYK: 4,
    _YCBCR: 3,
    _CIELAB: 3,
    _ICCLAB: 3,
}
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_PREMULTIPLIED, _STRAIGHT = 1, 2
_JPEG = (6, 7)
_ASCII, _BYTES = 2, 7  # types of tags
_EXIF_NAMES = {TAKEN: "DateTimeOriginal", TAKEN_OFFSET: "OffsetTimeOriginal"}  # as tifffile calls them
_MOST_CHANNELS = 8  # ours: colour and a few extra masks; a header can claim 65,535


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the first page of a TIFF.

    Raises:
        PictureError: The declared size is over the limits, or a colour model or number format that is not read.
    """
    import tifffile

    _silence()
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        _check(page, name, limits)
        raster: NDArray[Any] = ycbcr.unpacked(page, data) if _needs_unpacking(page) else _raster(page)
        notes = [SEVERAL_PAGES] if file.pages.is_multipage else []
        values, space, found = _colours(page, raster[:, :, : _CHANNELS[page.photometric]], name)
        alpha = _alpha(page, raster)
        if alpha is not None and _extra_kind(page) == _PREMULTIPLIED and space != "lab":
            values = _unpremultiplied(values, alpha)
        per_inch = {2: 1.0, 3: 2.54}.get(int(_tag(page, _RESOLUTION_UNIT, 2)), 0.0)
        orientation = _tag(page, _ORIENTATION, 1)
        return Samples(
            values=values,
            space=space,
            alpha=alpha,
            orientation=orientation if orientation in range(1, 9) else 1,
            icc_profile=bytes(_tag(page, _ICC_PROFILE, b"")) or None,
            bits=8 if page.bitspersample <= 8 else 16,
            dpi=plausible_dpi((_ratio(page, _X_RESOLUTION), _ratio(page, _Y_RESOLUTION)), per_inch),
            credits=_credits(page),
            notes=(*notes, *found),
        )


def tag_bytes(data: bytes, code: int, longest: int) -> bytes | None:
    """Return the bytes of a tag of the first page, as many as `longest`; None where there are none."""
    import tifffile

    _silence()
    with tifffile.TiffFile(BytesIO(data)) as file:
        value = _tag(file.pages.first, code, None)
        return value[:longest] if isinstance(value, bytes) else None


def _credits(page: "TiffPage") -> Credits:
    """Return what the tags, and EXIF's in a directory of their own, say of the photo's making."""
    found: dict[str, str | None] = {}
    for name, (_, code) in PLACES.items():
        with contextlib.suppress(Exception):
            # The pixels are fine; damaged tags, which fail in every way there is, are no reason to refuse them.
            inner = _tag(page, EXIF_IFD, {})
            value = _tag(page, code, inner.get(_EXIF_NAMES.get(code)) if isinstance(inner, dict) else None)
            found[name] = value if isinstance(value, str) else None
    return Credits(**found)


def encode(
    pixels: NDArray[Any],
    *,
    profile: bytes,
    inks: bool = False,
    compression: str = "deflate",
    dpi: tuple[float, float] | None = None,
    credits: Credits | None = None,
    description: str = "",
    document: str = "",
) -> bytes:
    """Return a TIFF of (H, W, C) uint8 or uint16, RGB or `inks` (CMYK), with or without alpha.

    `compression` is "deflate", "lzw" or "none"; `description` and `document` are ASCII.

    EXIF's own fields stand beside TIFF's, as TIFF/EP (ISO 12234-2) has them: tifffile writes no nested directory.
    """
    import tifffile

    tags = [(PLACES[name][1], text.encode() + b"\0", _ASCII) for name, text in (credits.items() if credits else ())]
    if description:
        tags = [tag for tag in tags if tag[0] != DESCRIPTION]
    if document:
        tags.append((USER_COMMENT, user_comment(document), _BYTES))

    stream = BytesIO()
    tifffile.imwrite(
        stream,
        pixels,
        photometric="separated" if inks else "rgb",
        extrasamples=["unassalpha"] if pixels.shape[2] > (4 if inks else 3) else None,
        planarconfig="contig",
        compression={"deflate": "zlib", "lzw": "lzw", "none": None}[compression],
        predictor=compression != "none",
        iccprofile=profile,
        resolution=dpi,
        resolutionunit="INCH" if dpi else None,
        description=description or None,
        extratags=[(tag, kind, len(content), content, True) for tag, content, kind in tags],
        software="impasto",
        metadata=None,
    )
    return stream.getvalue()


def _silence() -> None:
    # tifffile reports oddities through logging, which prints to the terminal as long as nobody has set it up.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _check(page: "TiffPage", name: str, limits: Limits) -> None:
    limits.check(page.imagewidth, page.imagelength, name)
    if page.is_tiled:
        # A small picture may declare huge tiles, and a whole tile is decoded at a time.
        limits.check(page.tilewidth, page.tilelength, name)
    if page.axes not in ("YX", "YXS", "SYX"):
        raise PictureError(f"{shown(name)}: a TIFF with axes {page.axes} is not a flat picture; save one plane of it")
    if page.is_reduced:
        raise PictureError(
            f"{shown(name)}: begins with a thumbnail, as camera raw files do; develop it to a TIFF first"
        )
    channels = _CHANNELS.get(page.photometric)
    if channels is None or (page.photometric == _CMYK and int(_tag(page, 332, 1)) != 1):
        model = getattr(page.photometric, "name", page.photometric)
        raise PictureError(f"{shown(name)}: a TIFF of colour model {model} is not read; convert it to RGB")
    if not channels <= page.samplesperpixel <= _MOST_CHANNELS:
        raise PictureError(f"{shown(name)}: a TIFF of {page.samplesperpixel} channels is not read; convert it to RGB")
    if page.sampleformat not in (_UNSIGNED, _FLOAT, _UNDEFINED) and page.photometric not in (_CIELAB, _ICCLAB):
        raise PictureError(f"{shown(name)}: a TIFF of signed or complex numbers is not read; convert it to unsigned")


def _raster(page: "TiffPage") -> NDArray[Any]:
    """Return the stored numbers as (H, W, C)."""
    values = np.asarray(page.asarray())
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    return np.atleast_3d(values)


def _colours(page: "TiffPage", raster: NDArray[Any], name: str) -> tuple[NDArray[Any], Space, list[str]]:
    """Return (values, space, notes), as in `Samples`."""
    model = page.photometric
    if model in (_CIELAB, _ICCLAB):
        return _lab(raster, model), "lab", []
    if model == _PALETTE:
        table = np.asarray(page.colormap, np.uint16)
        # Old writers left the table at 8 bits.
        table = table.astype(np.uint8) if table.max() < 256 else table
        return table.T[raster[:, :, 0]], "rgb", []
    if model == _YCBCR and page.compression not in _JPEG:
        return ycbcr.to_rgb(page, raster), "rgb", []
    values, notes = _full_range(page, raster, name)
    if model == _WHITE_IS_ZERO:
        values = np.float32(1) - values if values.dtype.kind == "f" else ~values
    space: Space = "gray" if model in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) else "cmyk" if model == _CMYK else "rgb"
    return values, space, notes


def _full_range(page: "TiffPage", values: NDArray[Any], name: str) -> tuple[NDArray[Any], list[str]]:
    """Return the numbers as uint8 or uint16 of the full range, or float32 in [0, 1], and notes."""
    if values.dtype.kind == "f":
        return unit_floats(values, name)
    bits = page.bitspersample
    if bits in (8, 16):
        return values.astype(np.uint8 if bits == 8 else np.uint16, copy=False), []
    return (values / (2.0**bits - 1)).astype(np.float32), []


def _lab(raster: NDArray[Any], model: int) -> Floats:
    """Return L in [0, 100], a and b from TIFF's two Lab encodings (TIFF 6.0, section 23; TIFF Technical Note 4)."""
    if raster.dtype.itemsize > 2 or raster.dtype.kind == "f":
        raise ValueError("Lab of more than 16 bits is not read")
    wide = raster.dtype.itemsize == 2
    raster = raster.view(np.uint16 if wide else np.uint8)
    step = 256 if wide else 1
    signed: NDArray[Any] = raster[:, :, 1:]
    if model == _CIELAB:
        white = 65535 if wide else 255
        signed = signed.view(np.int16 if wide else np.int8).astype(np.float32) / step
    else:
        white = 65280 if wide else 255
        signed = signed / step - 128
    lab: Floats = np.concatenate([raster[:, :, :1] * (100 / white), signed], axis=2).astype(np.float32)
    return lab


def _extra_kind(page: "TiffPage") -> int:
    # Old writers left the tag out; a channel after the colours was then alpha.
    return int(page.extrasamples[0]) if page.extrasamples else _STRAIGHT


def _alpha(page: "TiffPage", raster: NDArray[Any]) -> NDArray[Any] | None:
    channel = _CHANNELS[page.photometric]
    if raster.shape[2] <= channel or _extra_kind(page) not in (_PREMULTIPLIED, _STRAIGHT):
        return None
    alpha = raster[:, :, channel]
    if alpha.dtype.kind == "f":
        clipped: Floats = np.clip(np.nan_to_num(alpha, nan=1.0), 0, 1).astype(np.float32)
        return clipped
    return _full_range(page, alpha, "")[0]


def _unpremultiplied(values: NDArray[Any], alpha: NDArray[Any]) -> Floats:
    weight = unit(alpha)[:, :, np.newaxis]
    return np.clip(unit(values) / np.where(weight > 0, weight, np.float32(1)), 0, 1)


def _needs_unpacking(page: "TiffPage") -> bool:
    return page.photometric == _YCBCR and page.compression not in _JPEG and ycbcr.subsampling(page) != (1, 1)


def _tag(page: "TiffPage", code: int, default: Any) -> Any:
    tag = page.tags.get(code)
    return default if tag is None or tag.value is None else tag.value


def _ratio(page: "TiffPage", code: int) -> float | None:
    value = _tag(page, code, None)
    return value[0] / value[1] if isinstance(value, tuple) and len(value) == 2 and value[1] else None
