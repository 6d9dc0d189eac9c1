"""TIFF of every depth through tifffile. Pillow has no 16-bit colour, and its libtiff writes errors to the terminal."""

import logging
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.errors import PictureError
from impasto.picture.formats import jpeg, ycbcr
from impasto.picture.formats.bounds import upright_size
from impasto.picture.formats.damage import DamagedError, damaged_metadata
from impasto.picture.formats.encode import to_levels, to_text
from impasto.picture.formats.format import Format, Options, Writer, begins_with
from impasto.picture.formats.pillow import plausible_dpi
from impasto.picture.formats.samples import Samples
from impasto.picture.formats.tags import Directories, Tag
from impasto.picture.formats.tiff_parts import check_whole, part_size
from impasto.picture.formats.webp import canvas
from impasto.picture.levels import Floats, Stored, to_unit_range, unit_floats
from impasto.picture.limits import Limits
from impasto.picture.metadata import (
    DESCRIPTION,
    EXIF_IFD,
    MOST_TEXT,
    PLACES,
    USER_COMMENT,
    Credits,
    document_in_comment,
    text_of,
    user_comment,
)
from impasto.picture.profiles import TOO_LONG, Space
from impasto.recipe.provenance import MOST_BYTES
from impasto.system.text import printable

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
_WEBP = (34927, 50001)
# None, fax, LZW, JPEG, deflate, PackBits, LZMA and Zstandard, with old numbers: what programs write for pictures. What
# else imagecodecs decodes, for microscopes and raw files, is more code than strangers' files need to reach.
_COMPRESSIONS = frozenset([1, 2, 3, 4, 5, *_JPEG, 8, 32946, 32773, 34925, 34926, 50000, *_WEBP])
_ASCII, _BYTES = 2, 7  # types of tags
_OLD_JPEG, _PLANAR = 6, 2
_BLOCK = 32  # ours: the largest block of a JPEG with its chroma subsampled by 4
_MOST_CHANNELS = 8  # ours: colour and a few extra masks; a header can claim 65,535


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the first page of a TIFF.

    Raises:
        PictureError: The declared size is over the limits, or a colour model or number format that is not read.
    """
    import tifffile

    _silence()
    directories = Directories(data)
    tags, following = directories.read(directories.first)
    notes = [SEVERAL_PAGES] if 0 < following < len(data) and following != directories.first else []
    tags, damaged = directories.sound(tags)
    notes += [damaged_metadata(damaged)] if damaged else []
    profile = None
    if _ICC_PROFILE in tags:
        profile = directories.bytes_of(tags[_ICC_PROFILE], limits.max_profile_bytes + 1)
        if profile is not None and len(profile) > limits.max_profile_bytes:
            profile, notes = None, [*notes, TOO_LONG]
    # Closed, it lets go of its copy of the file; pages and the file refer to each other, and live on for a while.
    with BytesIO(directories.plain(tags, name, limits)) as stream, tifffile.TiffFile(stream) as file:
        page = file.pages.first
        _check(page, data, name, limits)
        raster: Stored = ycbcr.unpack(page, data, name) if _needs_unpacking(page) else _raster(page)
        values, space, color_notes = _colours(page, raster[:, :, : _CHANNELS[page.photometric]], name)
        alpha = _alpha(page, raster)
        if alpha is not None and _extra_kind(page) == _PREMULTIPLIED and space != "lab":
            values = _unpremultiply(values, alpha)
        per_inch = {2: 1.0, 3: 2.54}.get(int(_tag(page, _RESOLUTION_UNIT, 2)), 0.0)
        orientation = _tag(page, _ORIENTATION, 1)
        return Samples(
            values=values,
            space=space,
            alpha=alpha,
            orientation=orientation if orientation in range(1, 9) else 1,
            icc_profile=profile or None,
            bits=8 if page.bitspersample <= 8 else 16,
            dpi=plausible_dpi((_ratio(page, _X_RESOLUTION), _ratio(page, _Y_RESOLUTION)), per_inch),
            credits=_credits(directories, tags),
            notes=(*notes, *color_notes),
        )


def tag_bytes(data: bytes, code: int, longest: int) -> bytes | None:
    """Return the bytes of a tag of the first page, as many as `longest`; None where there are none.

    Args:
        data: the file.
        code: number of the tag.
        longest: number of bytes to return at most.

    """
    directories = Directories(data)
    tags, _ = directories.read(directories.first)
    return directories.bytes_of(tags[code], longest) if code in tags else None


def _credits(directories: Directories, tags: dict[int, Tag]) -> Credits:
    """Return what the tags, and EXIF's in a directory of their own, say of the photo's making."""
    inner: dict[int, Tag] = {}
    place = directories.number_of(tags[EXIF_IFD]) if EXIF_IFD in tags else None
    if place is not None:
        try:
            inner, _ = directories.read(place)
        except (ValueError, struct.error):
            inner = {}  # the pixels are fine; damaged EXIF data are no reason to refuse them
    credits: dict[str, str | None] = {}
    for name, (_, code) in PLACES.items():
        tag = tags.get(code) or inner.get(code)
        text = None if tag is None or tag.kind != _ASCII else directories.bytes_of(tag, MOST_TEXT)
        credits[name] = text_of(text)
    return Credits(**credits)


def encode(samples: Samples, options: Options) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a TIFF file, RGB or CMYK, with or without alpha, and no notes.

    EXIF's own fields stand beside TIFF's, as TIFF/EP (ISO 12234-2) has them: tifffile writes no nested directory.
    """
    import tifffile

    description, compression = to_text(options.text), options.compression or "deflate"
    tags = [(PLACES[name][1], text.encode() + b"\0", _ASCII) for name, text in samples.credits.items()]
    if description:
        tags = [tag for tag in tags if tag[0] != DESCRIPTION]
    if samples.document:
        tags.append((USER_COMMENT, user_comment(samples.document), _BYTES))
    pixels = to_levels(samples, options)
    stream = BytesIO()
    tifffile.imwrite(
        stream,
        pixels,
        photometric="separated" if options.has_inks else "rgb",
        extrasamples=["unassalpha"] if pixels.shape[2] > (4 if options.has_inks else 3) else None,
        planarconfig="contig",
        compression={"deflate": "zlib", "lzw": "lzw", "none": None}[compression],
        predictor=compression != "none",
        iccprofile=options.icc_profile,
        resolution=samples.dpi,
        resolutionunit="INCH" if samples.dpi else None,
        description=description or None,
        extratags=[(tag, kind, len(content), content, True) for tag, content, kind in tags],
        software="impasto",
        metadata=None,
    )
    return stream.getvalue(), ()


def _silence() -> None:
    # tifffile reports oddities through logging, which prints to the terminal as long as nobody has set it up.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _check(page: "TiffPage", data: bytes, name: str, limits: Limits) -> None:
    limits.check(page.imagewidth, page.imagelength, name)
    _check_parts(page, name, limits)
    if page.axes not in ("YX", "YXS", "SYX"):
        raise PictureError(
            f"{printable(name)}: a TIFF with axes {printable(page.axes)} is not a flat picture; save one plane of it"
        )
    if page.is_reduced:
        raise PictureError(
            f"{printable(name)}: begins with a thumbnail, as camera raw files do; develop it to a TIFF first"
        )
    channels = _CHANNELS.get(page.photometric)
    if channels is None or (page.photometric == _CMYK and int(_tag(page, 332, 1)) != 1):
        model = getattr(page.photometric, "name", page.photometric)
        raise PictureError(
            f"{printable(name)}: a TIFF of colour model {printable(model)[:40]} is not read; convert it to RGB"
        )
    if not channels <= page.samplesperpixel <= _MOST_CHANNELS:
        raise PictureError(
            f"{printable(name)}: a TIFF of {page.samplesperpixel} channels is not read; convert it to RGB"
        )
    if page.compression not in _COMPRESSIONS:
        method = getattr(page.compression, "name", page.compression)
        raise PictureError(
            f"{printable(name)}: a TIFF compressed as {printable(method)[:40]} is not read; save it anew with deflate"
        )
    check_whole(page, data, is_packed=not _needs_unpacking(page))
    if page.compression in (*_JPEG, *_WEBP):
        _check_inner(page, data, name, limits)
    if page.sampleformat not in (_UNSIGNED, _FLOAT, _UNDEFINED) and page.photometric not in (_CIELAB, _ICCLAB):
        raise PictureError(
            f"{printable(name)}: a TIFF of signed or complex numbers is not read; convert it to unsigned"
        )


def _check_parts(page: "TiffPage", name: str, limits: Limits) -> None:
    """Refuse too many tiles or strips, too large ones, and pixels that take too much."""
    # A small picture may declare huge tiles, and a whole tile is decoded at a time.
    width, height = part_size(page)
    limits.check(width, height, name)
    planes = page.samplesperpixel if page.planarconfig == _PLANAR else 1
    limits.check_parts(-(-page.imagewidth // width) * -(-page.imagelength // height) * planes, name)
    pixel_bytes = -(-page.bitspersample // 8) * page.samplesperpixel
    limits.check_decoded(max(width * height, page.imagewidth * page.imagelength) * pixel_bytes, name)


def _check_inner(page: "TiffPage", data: bytes, name: str, limits: Limits) -> None:
    """Refuse strips and tiles that are JPEG or WebP of a size of their own, which decoders would believe."""
    width, height = part_size(page)
    for at, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        part = data[at : at + count]
        size: tuple[int, int] | None
        if page.compression in _WEBP:
            size = canvas(part)
        else:
            if page.compression == _OLD_JPEG and not part.startswith(b"\xff\xd8"):
                raise PictureError(
                    f"{printable(name)}: a TIFF compressed as JPEG in the form of 1992 is not read; "
                    "save it anew with deflate"
                )
            jpeg.check(part, name, limits)
            size = jpeg.size(part)
        # Encoders round up to whole blocks.
        if size is not None and (size[0] > width + _BLOCK or size[1] > height + _BLOCK):
            raise DamagedError(f"a part is {size[0]} x {size[1]} pixels and declared as {width} x {height}")


def _raster(page: "TiffPage") -> Stored:
    """Return the stored numbers as (H, W, C)."""
    values = np.asarray(page.asarray())
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    return np.atleast_3d(values)


def _colours(page: "TiffPage", raster: Stored, name: str) -> tuple[Stored, Space, list[str]]:
    """Return (values, space, notes), as in `Samples`."""
    model = page.photometric
    if model in (_CIELAB, _ICCLAB):
        return _lab(raster, model, name), "lab", []
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


def _full_range(page: "TiffPage", values: Stored, name: str) -> tuple[Stored, list[str]]:
    """Return the numbers as uint8 or uint16 of the full range, or float32 in [0, 1], and notes."""
    if values.dtype.kind == "f":
        return unit_floats(values, name)
    bits = page.bitspersample
    if bits in (8, 16):
        return values.astype(np.uint8 if bits == 8 else np.uint16, copy=False), []
    return (values / (2.0**bits - 1)).astype(np.float32), []


def _lab(raster: Stored, model: int, name: str) -> Floats:
    """Return L in [0, 100], a and b from TIFF's two Lab encodings (TIFF 6.0, section 23; TIFF Technical Note 4)."""
    if raster.dtype.itemsize > 2 or raster.dtype.kind == "f":
        raise PictureError(f"{printable(name)}: a TIFF of Lab with more than 16 bits is not read; convert it to RGB")
    wide = raster.dtype.itemsize == 2
    raster = raster.view(np.uint16 if wide else np.uint8)
    step = 256 if wide else 1
    signed: Stored = raster[:, :, 1:]
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


def _alpha(page: "TiffPage", raster: Stored) -> Stored | None:
    channel = _CHANNELS[page.photometric]
    if raster.shape[2] <= channel or _extra_kind(page) not in (_PREMULTIPLIED, _STRAIGHT):
        return None
    alpha = raster[:, :, channel]
    if alpha.dtype.kind == "f":
        clipped: Floats = np.clip(np.nan_to_num(alpha, nan=1.0), 0, 1).astype(np.float32)
        return clipped
    return _full_range(page, alpha, "")[0]


def _unpremultiply(values: Stored, alpha: Stored) -> Floats:
    weight = to_unit_range(alpha)[:, :, np.newaxis]
    return np.clip(to_unit_range(values) / np.where(weight > 0, weight, np.float32(1)), 0, 1)


def _needs_unpacking(page: "TiffPage") -> bool:
    return page.photometric == _YCBCR and page.compression not in _JPEG and ycbcr.subsampling(page) != (1, 1)


def _tag(page: "TiffPage", code: int, default: object) -> Any:
    tag = page.tags.get(code)
    return default if tag is None or tag.value is None else tag.value


def _ratio(page: "TiffPage", code: int) -> float | None:
    value = _tag(page, code, None)
    return value[0] / value[1] if isinstance(value, tuple) and len(value) == 2 and value[1] else None


FORMAT = Format(
    "TIFF",
    begins_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    decode,
    lambda data, name, limits: upright_size(decode(data, name, limits)),
    (".tif", ".tiff"),
    lambda data, name, limits: document_in_comment(tag_bytes(data, USER_COMMENT, MOST_BYTES + 16)),
    Writer(
        encode,
        (".tif", ".tiff"),
        "image/tiff",
        depths=(8, 16),
        has_inks=True,
        compressions=("deflate", "lzw", "none"),
    ),
)
