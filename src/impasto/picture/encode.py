"""Pictures to the bytes of a file."""

import json
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from impasto.errors import OutputError, PictureError
from impasto.messages import reason, shown
from impasto.picture import png, tiff
from impasto.picture.picture import Picture
from impasto.picture.profiles import srgb_profile

ON_WHITE = "JPEG has no transparency: the picture was laid on white."
TEXT_LEFT_OUT = "The text is longer than a JPEG can hold and was left out."

# Ours, measured on a stylised 512 x 384 picture with hard strokes and on a 1024 x 768 photograph. About 40 dB PSNR
# (40.3 and 43.3 for JPEG, 40.1 and 42.4 for AVIF) in a third of PNG's size. WebP always halves the chroma and stays at
# 37 and 39 dB whatever its quality, short of 100, which is lossless here.
DEFAULT_QUALITY = {"jpeg": 95, "webp": 95, "avif": 90}
# The same measurement: at equal file size full chroma is 1 dB better than halved chroma with a higher quality.
FULL_CHROMA = "4:4:4"
# libjpeg's JPEG_MAX_DIMENSION, the WebP container's 14 bits, and libavif's default limit.
_LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383, "avif": 32_768}
# One JPEG segment holds 65,533 bytes; the rest is for EXIF's own structure.
_LONGEST_JPEG_TEXT = 65_000

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCH = 0x010E, 0x011A, 0x011B, 0x0128, 2


def encode(
    picture: Picture, kind: str, *, bits: int, quality: int | None, text: Mapping[str, str], name: str
) -> tuple[bytes, tuple[str, ...]]:
    """Return a picture as the bytes of a file and what a person should know about it; see `write_picture`.

    Raises:
        OutputError: `text` cannot be stored.
        PictureError: The picture is larger than the format or the memory allows.
    """
    _check_text(text)
    longest = _LONGEST_SIDE.get(kind)
    if longest is not None and max(picture.size) > longest:
        raise PictureError(
            f"{shown(name)}: {picture.width:,} x {picture.height:,} pixels are more than {kind.upper()} holds "
            f"({longest:,} a side); write a .png or .tif instead"
        )
    try:
        if kind == "png":
            return _png(picture, bits, text), ()
        if kind == "tiff":
            return _tiff(picture, bits, text), ()
        return _lossy(picture, kind, quality or DEFAULT_QUALITY[kind], text)
    except MemoryError as error:
        raise PictureError(f"{shown(name)}: does not fit into memory as {kind.upper()}; make it smaller") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise PictureError(f"{shown(name)}: could not be encoded as {kind.upper()} ({reason(error)})") from error


def _png(picture: Picture, bits: int, text: Mapping[str, str]) -> bytes:
    chunks = [png.profile_chunk(srgb_profile())]
    if picture.dpi:
        chunks.append(png.dpi_chunk(picture.dpi))
    chunks += [png.text_chunk(keyword, value) for keyword, value in text.items()]
    return png.encode(picture.to_numpy(_dtype(bits)), chunks)


def _tiff(picture: Picture, bits: int, text: Mapping[str, str]) -> bytes:
    return tiff.encode(
        picture.to_numpy(_dtype(bits)), profile=srgb_profile(), dpi=picture.dpi, description=_described(text)
    )


def _lossy(picture: Picture, kind: str, quality: int, text: Mapping[str, str]) -> tuple[bytes, tuple[str, ...]]:
    notes: list[str] = []
    options: dict[str, Any] = {"quality": quality, "icc_profile": srgb_profile()}
    if kind == "jpeg":
        if picture.alpha is not None:
            picture = _on_white(picture)
            notes.append(ON_WHITE)
        if len(_described(text)) > _LONGEST_JPEG_TEXT:
            text = {}
            notes.append(TEXT_LEFT_OUT)
        options |= {"subsampling": FULL_CHROMA, "optimize": True}
        if picture.dpi and max(picture.dpi) <= 65535:
            options["dpi"] = picture.dpi
    elif kind == "avif":
        options["subsampling"] = FULL_CHROMA
    elif quality == 100:
        options |= {"lossless": True, "exact": True}
    exif = _exif(picture, text)
    if exif:
        options["exif"] = exif
    stream = BytesIO()
    picture.to_pil().save(stream, kind.upper(), **options)
    return stream.getvalue(), tuple(notes)


def _on_white(picture: Picture) -> Picture:
    assert picture.alpha is not None
    pixels = 1 - picture.alpha + picture.alpha * picture.pixels
    return replace(picture, pixels=np.clip(pixels, 0, 1), alpha=None)


def _exif(picture: Picture, text: Mapping[str, str]) -> bytes:
    exif = Image.Exif()
    if text:
        exif[_DESCRIPTION] = _described(text)
    if picture.dpi:
        exif[_X_RESOLUTION], exif[_Y_RESOLUTION] = picture.dpi
        exif[_RESOLUTION_UNIT] = _INCH
    return exif.tobytes() if len(exif) else b""


def _described(text: Mapping[str, str]) -> str:
    # ASCII, for that is all these fields may hold; JSON escapes the rest.
    return json.dumps(dict(text)) if text else ""


def _dtype(bits: int) -> type[np.uint8] | type[np.uint16]:
    return np.uint16 if bits == 16 else np.uint8


def _check_text(text: Mapping[str, str]) -> None:
    for keyword, value in text.items():
        if not isinstance(keyword, str) or not isinstance(value, str):
            raise OutputError(f"text {shown(keyword)!r}: expected names and values that are strings")
        latin = all(" " <= c <= "~" or "\xa1" <= c <= "\xff" for c in keyword)
        if not latin or not 1 <= len(keyword) <= 79 or keyword != keyword.strip():
            raise OutputError(f"text name {shown(keyword)!r}: expected 1 to 79 Latin letters, digits and signs")
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise OutputError(f"text {shown(keyword)!r}: holds a character that cannot be stored; take it out")
