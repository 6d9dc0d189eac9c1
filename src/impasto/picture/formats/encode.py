"""Pictures to the bytes of a file."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import OutputError, PictureError
from impasto.picture.formats import png, tiff
from impasto.picture.levels import quantised
from impasto.picture.metadata import KEYWORD, Credits, exif_block
from impasto.picture.picture import Picture
from impasto.picture.printing import OutputProfile
from impasto.picture.profiles import srgb_profile
from impasto.system.text import printable, reason

ON_WHITE = "JPEG has no transparency: the picture was laid on white."
TEXT_LEFT_OUT = "The text is longer than a JPEG can hold and was left out."
RECIPE_LEFT_OUT = "The recipe is longer than a JPEG can hold and was left out."

# Ours, measured on a stylised 512 x 384 picture with hard strokes and on a 1024 x 768 photograph. About 40 dB PSNR
# (40.3 and 43.3 for JPEG, 40.1 and 42.4 for AVIF) in a third of PNG's size. WebP always halves the chroma and stays at
# 37 and 39 dB whatever its quality, short of 100, which is lossless here.
DEFAULT_QUALITY = {"jpeg": 95, "webp": 95, "avif": 90}
# The same measurement: at equal file size full chroma is 1 dB better than halved chroma with a higher quality.
FULL_CHROMA = "4:4:4"
# libjpeg's JPEG_MAX_DIMENSION, the WebP container's 14 bits, and libavif's default limit.
_LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383, "avif": 32_768}
# One JPEG segment holds 65,533 bytes.
_LONGEST_JPEG_EXIF = 65_500


@dataclass(frozen=True)
class Options:
    """How a picture is to be written; see `write_picture`."""

    bits: int = 8
    quality: int | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    metadata: bool = True
    compression: str | None = None
    profile: OutputProfile | None = None

    @property
    def icc_profile(self) -> bytes:
        """The profile to embed."""
        return srgb_profile() if self.profile is None else self.profile.data


def encode(picture: Picture, kind: str, options: Options, *, name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a picture as the bytes of a file and what a person should know about it; see `write_picture`.

    Raises:
        OutputError: `text` cannot be stored, or colours cannot be converted into the profile.
        PictureError: The picture is larger than the format or the memory allows.
    """
    _check_text(options.text)
    if not options.metadata:
        picture = replace(picture, credits=Credits(), remembered=None)
    longest = _LONGEST_SIDE.get(kind)
    if longest is not None and max(picture.size) > longest:
        raise PictureError(
            f"{printable(name)}: {picture.width:,} x {picture.height:,} pixels are more than {kind.upper()} holds "
            f"({longest:,} a side); write a .png or .tif instead"
        )
    try:
        if kind == "png":
            return _png(picture, options), ()
        if kind == "tiff":
            return _tiff(picture, options), ()
        return _lossy(picture, kind, options)
    except MemoryError as error:
        raise PictureError(f"{printable(name)}: does not fit into memory as {kind.upper()}; make it smaller") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise PictureError(f"{printable(name)}: could not be encoded as {kind.upper()} ({reason(error)})") from error


def _png(picture: Picture, options: Options) -> bytes:
    chunks = [png.profile_chunk(options.icc_profile)]
    if picture.dpi:
        chunks.append(png.dpi_chunk(picture.dpi))
    block = exif_block(picture.credits)
    if block:
        chunks.append(png.exif_chunk(block))
    document = _document(picture)
    told = {KEYWORD: document, **options.text} if document else options.text
    chunks += [png.text_chunk(keyword, value) for keyword, value in told.items()]
    return png.encode(_levels(picture, options), chunks)


def _tiff(picture: Picture, options: Options) -> bytes:
    return tiff.encode(
        _levels(picture, options),
        profile=options.icc_profile,
        inks=options.profile is not None and options.profile.space == "cmyk",
        compression=options.compression or "deflate",
        dpi=picture.dpi,
        credits=picture.credits,
        description=_described(options.text),
        document=_document(picture),
    )


def _lossy(picture: Picture, kind: str, options: Options) -> tuple[bytes, tuple[str, ...]]:
    notes: list[str] = []
    quality = options.quality or DEFAULT_QUALITY[kind]
    told: dict[str, Any] = {"quality": quality, "icc_profile": options.icc_profile}
    if kind == "jpeg":
        if picture.alpha is not None:
            picture = _on_white(picture)
            notes.append(ON_WHITE)
        told |= {"subsampling": FULL_CHROMA, "optimize": True}
        if picture.dpi and max(picture.dpi) <= 65535:
            told["dpi"] = picture.dpi
    elif kind == "avif":
        told["subsampling"] = FULL_CHROMA
    elif quality == 100:
        told |= {"lossless": True, "exact": True}
    exif, left_out = _exif(picture, kind, options.text)
    notes += left_out
    if exif:
        told["exif"] = exif
    stream = BytesIO()
    inks = options.profile is not None and options.profile.space == "cmyk"
    levels = _levels(picture, options)
    image = Image.fromarray(levels, "CMYK") if inks else Image.fromarray(levels)
    image.save(stream, kind.upper(), **told)
    return stream.getvalue(), tuple(notes)


def _levels(picture: Picture, options: Options) -> NDArray[Any]:
    """Return (H, W, C) as it is stored: the colours of the profile, and alpha where there is some."""
    dtype = np.uint16 if options.bits == 16 else np.uint8
    if options.profile is None:
        return picture.to_numpy(dtype)
    colours = quantised(options.profile.converted(np.moveaxis(picture.pixels, 0, -1)), dtype)
    return colours if picture.alpha is None else np.dstack([colours, quantised(picture.alpha, dtype)])


def _on_white(picture: Picture) -> Picture:
    assert picture.alpha is not None
    pixels = 1 - picture.alpha + picture.alpha * picture.pixels
    return replace(picture, pixels=np.clip(pixels, 0, 1), alpha=None)


def _exif(picture: Picture, kind: str, text: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Return EXIF data, and notes on what a JPEG has no room for."""
    description, document, notes = _described(text), _document(picture), []
    longest = _LONGEST_JPEG_EXIF if kind == "jpeg" else sys.maxsize
    if description and len(exif_block(picture.credits, picture.dpi, description)) > longest:
        description = ""
        notes.append(TEXT_LEFT_OUT)
    if document and len(exif_block(picture.credits, picture.dpi, description, document)) > longest:
        document = ""
        notes.append(RECIPE_LEFT_OUT)
    return exif_block(picture.credits, picture.dpi, description, document), notes


def _document(picture: Picture) -> str:
    return picture.remembered.to_json() if picture.remembered else ""


def _described(text: Mapping[str, str]) -> str:
    # ASCII, for that is all these fields may hold; JSON escapes the rest.
    return json.dumps(dict(text)) if text else ""


def _check_text(text: Mapping[str, str]) -> None:
    for keyword, value in text.items():
        if not isinstance(keyword, str) or not isinstance(value, str):
            raise OutputError(f"text {printable(keyword)!r}: expected names and values that are strings")
        latin = all(" " <= c <= "~" or "\xa1" <= c <= "\xff" for c in keyword)
        if not latin or not 1 <= len(keyword) <= 79 or keyword != keyword.strip():
            raise OutputError(f"text name {printable(keyword)!r}: expected 1 to 79 Latin letters, digits and signs")
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise OutputError(f"text {printable(keyword)!r}: holds a character that cannot be stored; take it out")
