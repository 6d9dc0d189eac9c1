"""All picture formats. A new one is a file beside this one and an entry here."""

from typing import Final

from impasto.errors import PictureError
from impasto.picture.formats import avif, bmp, gif, heic, ico, jpeg, png, pnm, tiff, webp
from impasto.picture.formats.format import Format, Writer, brands
from impasto.system.text import printable

# In the order in which messages name them. AVIF before HEIC, whose brands it may have too.
FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT for module in (png, jpeg, webp, tiff, bmp, gif, avif, heic, pnm, ico)
}
WRITERS: Final[dict[str, Writer]] = {
    name: format.writer for name, format in FORMATS.items() if format.writer is not None
}

_TITLES: Final = [format.title for format in FORMATS.values()]
_READABLE: Final = f"{', '.join(_TITLES[:-1])} or {_TITLES[-1]}"

# What people take for a picture that can be read, so that the message can say what it is: first bytes in lower case.
_FOREIGN = (
    (b"%!ps", "an EPS or PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"%pdf", "a PDF file"),
    (b"8bps", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\0\0\0\x0cjxl ", "a JPEG XL file"),
    (b"\0\0\0\x0cjp  ", "a JPEG 2000 file"),
    (b"\xffo\xffq", "a JPEG 2000 file"),
    (b"ii\xbc", "a JPEG XR file"),
    (b"qoif", "a QOI file"),
    (b"dds ", "a DDS texture"),
    (b"\xabktx", "a KTX texture"),
    (b"pvr\3", "a PVR texture"),
    (b"\x13\xab\xa1\x5c", "an ASTC texture"),
    (b"icns", "an icon file of macOS"),
    (b"\x8amng\r\n", "an MNG animation"),
    (b"\x8bjng\r\n", "a JNG file"),
    (b"bpg\xfb", "a BPG file"),
    (b"flif", "a FLIF file"),
    (b"farbfeld", "a farbfeld file"),
    (b"\x0a\5\1", "a PCX file"),
    (b"\x0a\3\1", "a PCX file"),
    (b"\1\xda", "an SGI picture"),
    (b"y\xa6j\x95", "a Sun raster file"),
    (b"form", "an IFF file, perhaps of an Amiga"),
    (b"simple  =", "a FITS file"),
    (b"at&tform", "a DjVu file"),
    (b"pf\n", "a PFM file of float numbers"),
    (b"/* xpm", "an XPM file"),
    (b"#define ", "an XBM file, or C source"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"\1\0\0\0l\0\0\0", "a Windows metafile"),
    (b"\0\0\2\0\0\0\0\0", "a TGA file"),
    (b"\0\0\x0a\0\0\0\0\0", "a TGA file"),
    (b"fujifilmccd-raw", "a camera's raw file"),
    (b"iiro", "a camera's raw file"),
    (b"iiu\0", "a camera's raw file"),
    (b"pk\3\4", "a ZIP archive"),
    (b"gimp xcf", "a GIMP file"),
    (b"v/1\x01", "an OpenEXR file"),
    (b"#?radiance", "a Radiance HDR file"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file, perhaps an SVG drawing"),
    (b"<!doctype", "a web page (did a download fail?)"),
    (b"<html", "a web page (did a download fail?)"),
)
# Of pictures in ISO media files that are not read: Canon's raw files, JPEG 2000 and JPEG XL.
_BRANDS = {
    b"crx ": "a camera's raw file",
    b"jp2 ": "a JPEG 2000 file",
    b"jpx ": "a JPEG 2000 file",
    b"jxl ": "a JPEG XL file",
}


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
        return _BRANDS.get(data[8:12], "a video")
    if data[:4] == b"RIFF":
        return {b"ACON": "an animated cursor", b"AVI ": "a video", b"WAVE": "a sound"}.get(data[8:12], "a RIFF file")
    if data[128:132] == b"DICM":
        return "a DICOM file"
    start = data[:256].lower()
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    for magic, description in _FOREIGN:
        if start.startswith(magic) or text.startswith(magic):
            return description
    return "not a picture of a known format"
