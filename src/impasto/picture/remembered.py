"""What a picture's file remembers of its painting. Any file may claim to: see `impasto.recipe.provenance`."""

import os
import zlib

from impasto.errors import PictureError
from impasto.picture.files import BinaryReader, path_name, read_path, read_stream, stream_name
from impasto.picture.formats import jpeg, png, tiff
from impasto.picture.formats.decode import decoding, opened
from impasto.picture.formats.sniff import sniff
from impasto.picture.formats.tags import Directories
from impasto.picture.limits import DEFAULT_LIMITS, Limits
from impasto.picture.metadata import EXIF_IFD, KEYWORD, USER_COMMENT, commented
from impasto.recipe.provenance import MOST_BYTES, Remembered
from impasto.system.text import printable


def remembered(source: str | os.PathLike[str] | BinaryReader, *, limits: Limits = DEFAULT_LIMITS) -> Remembered:
    """Return how a picture was painted, as impasto wrote it into the file: PNG, JPEG, WebP, TIFF or AVIF.

    Anybody can write such a file: what comes back has been checked field by field, but it need not be true.

    Args:
        source: A path, or an open binary file, of which the rest is read.
        limits: The largest picture to look into.

    Raises:
        PictureError: No picture, one that remembers nothing, or memories that are damaged, too long or of another form.
    """
    if isinstance(source, str | os.PathLike):
        name = path_name(source)
        data = read_path(source, limits)
    else:
        name = stream_name(source)
        data = read_stream(source, limits)
    kind = sniff(data, name)
    with decoding(name):
        text = _document(data, kind, name, limits)
    if text is None:
        raise PictureError(
            f"{printable(name)}: remembers nothing; impasto did not paint it, or its metadata was left out or taken out"
        )
    return Remembered.from_json(text, name)


def _document(data: bytes, kind: str, name: str, limits: Limits) -> str | None:
    if kind == "png":
        return _png_text(data)
    if kind == "tiff":
        return commented(tiff.tag_bytes(data, USER_COMMENT, MOST_BYTES + 16))
    if kind in ("jpeg", "webp", "avif"):
        if kind == "jpeg":
            data, _ = jpeg.checked(data, name, limits)
        raw = opened(data, kind, name, limits).info.get("exif")
        return _exif_text(raw) if raw else None
    return None


def _exif_text(raw: bytes) -> str | None:
    directories = Directories(raw.removeprefix(b"Exif\0\0"))
    tags, _ = directories.read(directories.first)
    place = directories.number_of(tags[EXIF_IFD]) if EXIF_IFD in tags else None
    inner, _ = ({}, 0) if place is None else directories.read(place)
    return commented(directories.bytes_of(inner[USER_COMMENT], MOST_BYTES + 16)) if USER_COMMENT in inner else None


def _png_text(data: bytes) -> str | None:
    """Return the text under our keyword, one byte more than is allowed at most."""
    start = KEYWORD.encode() + b"\0"
    for kind, chunk in png.chunks(data):
        content = memoryview(chunk)[8:-4]
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or bytes(content[: len(start)]) != start:
            continue
        content = content[len(start) : len(start) + MOST_BYTES + 1]
        if kind == b"tEXt":
            return bytes(content).decode("latin-1")
        if kind == b"zTXt":
            return _inflated(content[1:]).decode("latin-1")
        compressed, _, rest = content[0], content[1], bytes(content[2:])
        text = rest.split(b"\0", 2)[2]  # after the language and the translated keyword
        return (_inflated(text) if compressed else text).decode("utf-8", "replace")
    return None


def _inflated(data: bytes | memoryview) -> bytes:
    return zlib.decompressobj().decompress(data, MOST_BYTES + 1)
