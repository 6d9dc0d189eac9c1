"""Formats known by their first bytes, never by a file's ending."""

from impasto.errors import PictureError
from impasto.system.text import printable

READABLE = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC or PNM"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

# What people take for a picture that can be read, so that the message can say what it is.
_FOREIGN = (
    (b"%!ps", "an EPS or PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"%pdf", "a PDF file"),
    (b"8bps", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\0\0\0\x0cjxl ", "a JPEG XL file"),
    (b"\0\0\0\x0cjp  ", "a JPEG 2000 file"),
    (b"\0\0\1\0", "an icon file"),
    (b"gimp xcf", "a GIMP file"),
    (b"v/1\x01", "an OpenEXR file"),
    (b"#?radiance", "a Radiance HDR file"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file, perhaps an SVG drawing"),
    (b"<!doctype", "a web page (did a download fail?)"),
    (b"<html", "a web page (did a download fail?)"),
)


def sniff(data: bytes, name: str) -> str:
    """Return a file's format by its first bytes: "png", "jpeg", "webp", "tiff", "bmp", "gif", "avif", "heic" or "pnm".

    Raises:
        PictureError: None of these; the message says what it is instead, where that can be told.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6") and data[2:3] in b" \t\r\n#":
        return "pnm"
    brands = data[8:64] if data[4:8] == b"ftyp" else b""
    if b"avif" in brands or b"avis" in brands:
        return "avif"
    if b"mif1" in brands or b"hei" in brands or b"hevc" in brands:
        return "heic"
    raise PictureError(
        f"{printable(name)}: is {_foreign(data, brands)}, whatever its name says; convert it to {READABLE}"
    )


def _foreign(data: bytes, brands: bytes) -> str:
    if brands:
        return "a video"
    start = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    for magic, what in _FOREIGN:
        if start.startswith(magic):
            return what
    return "not a picture of a known format"
