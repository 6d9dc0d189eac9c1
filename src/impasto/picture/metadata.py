"""Metadata in a picture's file: the credits of a photo, and how a painting was made.

Of a photo's EXIF data a few texts are kept, cleaned and cut to length: never the place, the thumbnail, the maker's
notes or the orientation (which is applied). XMP and IPTC are not read, so no XML is parsed.
"""

import re
import struct
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TypeAlias

from PIL import Image

# EXIF 2.32, tables 4 to 7, and TIFF 6.0, section 8
DESCRIPTION, MAKE, MODEL, ARTIST, COPYRIGHT = 0x010E, 0x010F, 0x0110, 0x013B, 0x8298
EXIF_IFD, TAKEN, TAKEN_OFFSET, USER_COMMENT = 0x8769, 0x9003, 0x9011, 0x9286
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCH = 0x011A, 0x011B, 0x0128, 2
# TIFF 6.0, section 2: types of values and the bytes that one takes
_ASCII_TYPE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_SIZES = {_ASCII_TYPE: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _UNDEFINED: 1}
_Entries: TypeAlias = dict[int, tuple[int, bytes]]
# EXIF 2.32, table 9
_ASCII = b"ASCII\0\0\0"

# Ours: a long licence fits, and all of them together stay well under the 65,533 bytes of a JPEG segment.
LONGEST_TEXT = 2000
# More than is kept, for characters that will be taken out, but not without end.
MOST_TEXT = 4 * LONGEST_TEXT
_FORMS = {"taken": re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d"), "taken_offset": re.compile(r"[+-]\d\d:\d\d")}

PLACES = {
    "description": (None, DESCRIPTION),
    "make": (None, MAKE),
    "model": (None, MODEL),
    "artist": (None, ARTIST),
    "copyright": (None, COPYRIGHT),
    "taken": (EXIF_IFD, TAKEN),
    "taken_offset": (EXIF_IFD, TAKEN_OFFSET),
}


@dataclass(frozen=True)
class Credits:
    """The credits that a photo's file gives, as far as a painting of it keeps them.

    Attributes:
        artist: EXIF Artist.
        copyright: EXIF Copyright.
        description: EXIF ImageDescription.
        make: the camera's maker.
        model: the camera.
        taken: EXIF DateTimeOriginal, `YYYY:MM:DD HH:MM:SS`.
        taken_offset: its time zone, `+HH:MM`.

    """

    artist: str | None = None
    copyright: str | None = None
    description: str | None = None
    make: str | None = None
    model: str | None = None
    taken: str | None = None
    taken_offset: str | None = None

    def __post_init__(self) -> None:
        # Whatever the caller or the file gives, only short clean texts are kept.
        for name in (field.name for field in fields(self)):
            object.__setattr__(self, name, _clean(getattr(self, name), name))

    def items(self) -> list[tuple[str, str]]:
        """Return (name, text) of what there is."""
        return [(field.name, getattr(self, field.name)) for field in fields(self) if getattr(self, field.name)]


def credits_of(exif: Image.Exif) -> Credits:
    """Return what is kept of a photo's EXIF data; damaged data say nothing."""
    credits: dict[str, str | None] = {}
    for name, (folder, tag) in PLACES.items():
        try:
            credits[name] = text_of((exif if folder is None else exif.get_ifd(folder)).get(tag))
        except Exception:
            # The pixels are fine; damaged EXIF data, which fails in every way there is, is no reason to refuse them.
            continue
    return Credits(**credits)


def exif_block(
    credits: Credits, dpi: tuple[float, float] | None = None, description: str = "", document: str = ""
) -> bytes:
    """Return EXIF data with the six bytes that go before them in a JPEG; empty where there is nothing to say.

    Args:
        credits: what is kept of the photo.
        dpi: pixels an inch.
        description: ASCII, for ImageDescription instead of the photo's.
        document: ASCII, for UserComment.

    """
    outer: _Entries = {}
    inner: _Entries = {}
    for name, text in credits.items():
        folder, tag = PLACES[name]
        (outer if folder is None else inner)[tag] = _ASCII_TYPE, text.encode() + b"\0"
    if description:
        outer[DESCRIPTION] = _ASCII_TYPE, description.encode("ascii") + b"\0"
    if document:
        inner[USER_COMMENT] = _UNDEFINED, user_comment(document)
    if dpi:
        outer[_X_RESOLUTION], outer[_Y_RESOLUTION] = ((_RATIONAL, _ratio(value)) for value in dpi)
        outer[_RESOLUTION_UNIT] = _SHORT, struct.pack("<H", _INCH)
    if not outer and not inner:
        return b""
    if inner:
        # Its place is known once everything else is in place; the size of the entry does not depend on it.
        outer[EXIF_IFD] = _LONG, bytes(4)
        outer[EXIF_IFD] = _LONG, struct.pack("<I", 8 + len(_directory(outer, 8)))
    first = _directory(outer, 8)
    return b"Exif\0\0II*\0\x08\0\0\0" + first + (_directory(inner, 8 + len(first)) if inner else b"")


def _directory(entries: _Entries, offset: int) -> bytes:
    """Return a TIFF directory (TIFF 6.0, section 2) that begins at `offset`, with its values behind it."""
    table, values = b"", b""
    behind = offset + 2 + 12 * len(entries) + 4
    for tag, (kind, data) in sorted(entries.items()):
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", behind + len(values))
        if len(data) > 4:
            values += data + b"\0" * (len(data) % 2)
        table += struct.pack("<HHI", tag, kind, len(data) // _SIZES[kind]) + place
    return struct.pack("<H", len(entries)) + table + bytes(4) + values


def _ratio(value: float) -> bytes:
    # A `Picture` has a million dpi at most, so that both numbers fit.
    return struct.pack("<II", *Fraction(value).limit_denominator(1000).as_integer_ratio())


def user_comment(document: str) -> bytes:
    """Return the value of EXIF's UserComment for an ASCII text."""
    return _ASCII + document.encode("ascii")


def document_in_comment(value: object) -> str | None:
    """Return the document in a UserComment; None where it holds none of impasto's."""
    # Cameras and other programs write their own comments here.
    if not isinstance(value, bytes) or not value.startswith(_ASCII + b'{"impasto"'):
        return None
    return value[len(_ASCII) :].rstrip(b"\0").decode("ascii", "replace")


def text_of(value: object) -> str | None:
    """Return an EXIF text. Pillow takes the bytes for Latin-1, where most programs today write UTF-8."""
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return None
    value = value[:MOST_TEXT]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _clean(text: object, name: str) -> str | None:
    if not isinstance(text, str):
        return None
    # EXIF parts the photographer's copyright from the editor's by a NUL.
    text = "; ".join(part for part in (part.strip() for part in text.split("\0")) if part)
    text = "".join(c for c in text if c.isprintable() or c in "\n\t").strip()
    text = text.encode("utf-8", "ignore")[:LONGEST_TEXT].decode(errors="ignore")
    if name in _FORMS and not _FORMS[name].fullmatch(text):
        return None
    return text or None


KEYWORD = "impasto"
