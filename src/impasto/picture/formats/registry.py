"""All picture formats. A new one is a file beside this one and an entry here."""

from typing import Final

from impasto.errors import PictureError
from impasto.picture.formats import avif, bmp, gif, heic, jpeg, png, pnm, tiff, webp
from impasto.picture.formats.format import Format, Writer, brands
from impasto.system.text import printable

# In the order in which messages name them. AVIF before HEIC, whose brands it may have too.
FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT for module in (png, jpeg, webp, tiff, bmp, gif, avif, heic, pnm)
}
WRITERS: Final[dict[str, Writer]] = {
    name: format.writer for name, format in FORMATS.items() if format.writer is not None
}

_TITLES: Final = [format.title for format in FORMATS.values()]
_READABLE: Final = f"{', '.join(_TITLES[:-1])} or {_TITLES[-1]}"

# What people take for a picture that can be read, so that the message can say what it is.
_FOREIGN = (
    (b"%!ps", "an EPS or PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"%pdf", "a PDF file"),
    (b"8bps", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\0\0\0\x0cjxl ", "a JPEG XL file"),
    (b"\0\0\0\x0cjp  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51".lower(), "a JPEG 2000 file"),
    (b"\0\0\1\0", "an icon file"),
    (b"\0\0\2\0", "a cursor file"),
    (b"icns", "an icon file"),
    (b"p7\n", "a PAM file"),
    (b"qoif", "a QOI file"),
    (b"dds ", "a DDS texture"),
    (b"farbfeld", "a farbfeld file"),
    (b"simple  =", "a FITS file"),
    (b"/* xpm", "an XPM file"),
    (b"\x01\xda", "an SGI file"),
    (b"8bpb", "a large Photoshop file"),
    (b"fuji", "a camera's raw file"),
    (b"gimp xcf", "a GIMP file"),
    (b"v/1\x01", "an OpenEXR file"),
    (b"#?radiance", "a Radiance HDR file"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file, perhaps an SVG drawing"),
    (b"<!doctype", "a web page (did a download fail?)"),
    (b"<html", "a web page (did a download fail?)"),
)


def recognize(data: bytes, name: str) -> Format:
    """Return the format of a file by its first bytes, never by its ending.

    Raises:
        PictureError: None that is read; the message says what it is instead, where that can be told.
    """
    for format in FORMATS.values():
        if format.matches(data):
            return format
    raise PictureError(f"{printable(name)}: is {_foreign(data)}, whatever its name says; convert it to {_READABLE}")


def _foreign(data: bytes) -> str:
    if brands(data):
        return "a video"
    start = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    for magic, description in _FOREIGN:
        if start.startswith(magic):
            return description
    return "not a picture of a known format"
