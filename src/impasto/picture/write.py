"""Pictures to files."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO, Protocol, TypeAlias

from impasto.errors import OutputError, PictureError
from impasto.picture.checks import check_options, format_of
from impasto.picture.files import path_name, stream_name
from impasto.picture.formats.format import Options
from impasto.picture.formats.registry import WRITERS
from impasto.picture.formats.samples import Samples
from impasto.picture.metadata import Credits
from impasto.picture.printing import output_profile
from impasto.system.atomic import write_whole
from impasto.system.text import printable, reason


class Writable(Protocol):
    """What can be written: a `Picture`."""

    def to_samples(self) -> Samples:
        """Return it as a file stores it."""


ProfileSource: TypeAlias = str | os.PathLike[str] | bytes


def write_picture(
    picture: Writable,
    destination: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    bits: int = 8,
    quality: int | None = None,
    text: Mapping[str, str] | None = None,
    metadata: bool = True,
    compression: str | None = None,
    profile: ProfileSource | None = None,
) -> tuple[str, ...]:
    """Write a picture as PNG, JPEG, WebP, TIFF or AVIF, whole or not at all, replacing an existing file.

    Values are rounded to the nearest level, an sRGB profile is embedded unless another is given, alpha and dpi are
    kept. JPEG has no alpha: the picture is laid on white, and a note says so. With them go how it was painted
    (`Picture.remembered`) and what is kept of the photo's EXIF data (`Picture.credits`): never the place, a thumbnail
    or the maker's notes.

    Args:
        picture: What to write.
        destination: A path (its ending names the format), or an open binary file (then name the format).
        format: "png", "jpeg", "webp", "tiff" or "avif"; None to go by the ending.
        bits: 8, or 16 for PNG and TIFF.
        quality: 1 to 100 for JPEG, WebP (100: lossless) and AVIF; None for the format's default.
        text: Names (1 to 79 Latin-1 characters) and values to keep with the picture: PNG text, one by one; elsewhere
            together, as JSON in the EXIF or TIFF field ImageDescription.
        metadata: False to leave out `Picture.remembered` and `Picture.credits`.
        compression: "deflate", "lzw" or "none" for TIFF; None for deflate.
        profile: A file or the bytes of an ICC profile of RGB, or of CMYK for TIFF and JPEG: the colours are converted
            into it (relative colorimetric, black point compensation), and it is embedded. None for sRGB.

    Returns:
        What a person should know about the file, in plain sentences; mostly nothing.

    Raises:
        OutputError: An unknown ending or format, an option that the format lacks, or no profile to write with.
        PictureError: The picture is too large for the format, or writing failed; an existing file is then untouched.
    """
    target = None if profile is None else output_profile(profile)

    def encoded(kind: str, name: str) -> tuple[bytes, tuple[str, ...]]:
        check_options(kind, bits, quality, compression, target)
        return encode(
            picture.to_samples(),
            kind,
            Options(bits, quality, text or {}, metadata=metadata, compression=compression, profile=target),
            name=name,
        )

    if isinstance(destination, str | os.PathLike):
        format = format or format_of(destination)
        data, notes = encoded(format, path_name(destination))
        write_file(destination, data)
        return notes
    if format is None:
        raise OutputError("an open file has no ending to tell the format by; pass format='png' or another")
    name = stream_name(destination)
    data, notes = encoded(format, name)
    try:
        destination.write(data)
        destination.flush()
    except Exception as error:
        # A caller's own kind of file may raise anything.
        raise PictureError(
            f"{printable(name)}: could not be written ({reason(error)}); is it open for writing, in binary mode?"
        ) from error
    return notes


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` at `path`, whole or not at all: see `impasto.system.atomic.write_whole`.

    Raises:
        PictureError: Writing failed; what was there before is untouched.
    """
    try:
        write_whole(path, data)
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{printable(os.fspath(path))}: could not be written ({reason(error)}); "
            "free some space or choose another place; what was there before is untouched"
        ) from error


def encode(samples: Samples, kind: str, options: Options, *, name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return samples as the bytes of a file of a format, and what a person should know about it; see `write_picture`.

    Args:
        samples: of the picture.
        kind: name of the format.
        options: of the file.
        name: of the file, for messages.

    Raises:
        OutputError: `text` cannot be stored, or colours cannot be converted into the profile.
        PictureError: The picture is larger than the format or the memory allows.
    """
    _check_text(options.text)
    if not options.metadata:
        samples = replace(samples, credits=Credits(), document="")
    writer, (height, width) = WRITERS[kind], samples.size
    if writer.longest_side is not None and max(height, width) > writer.longest_side:
        raise PictureError(
            f"{printable(name)}: {width:,} x {height:,} pixels are more than {kind.upper()} holds "
            f"({writer.longest_side:,} a side); write a .png or .tif instead"
        )
    try:
        return writer.encode(samples, options)
    except MemoryError as error:
        raise PictureError(f"{printable(name)}: does not fit into memory as {kind.upper()}; make it smaller") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise PictureError(f"{printable(name)}: could not be encoded as {kind.upper()} ({reason(error)})") from error


def _check_text(text: Mapping[str, str]) -> None:
    for keyword, value in text.items():
        if not isinstance(keyword, str) or not isinstance(value, str):
            raise OutputError(f"text {printable(keyword)!r}: expected names and values that are strings")
        latin = all(" " <= c <= "~" or "\xa1" <= c <= "\xff" for c in keyword)
        if not latin or not 1 <= len(keyword) <= 79 or keyword != keyword.strip():
            raise OutputError(f"text name {printable(keyword)!r}: expected 1 to 79 Latin letters, digits and signs")
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise OutputError(f"text {printable(keyword)!r}: holds a character that cannot be stored; take it out")
