"""WebP, read and written by Pillow; its header is read before anything is allocated."""

from impasto.picture.formats.encode import exif_with_notes, save
from impasto.picture.formats.format import Format, Options, Writer
from impasto.picture.formats.pillow import PillowReader
from impasto.picture.formats.samples import Samples
from impasto.picture.limits import Limits

# Ours, measured as for JPEG. WebP always halves the chroma and stays at 37 and 39 dB whatever its quality, short of
# 100, which is lossless here.
_DEFAULT_QUALITY = 95


def canvas(data: bytes) -> tuple[int, int]:
    """Return the canvas's (width, height) (RFC 9649, sections 2.5 to 2.7).

    Raises:
        ValueError: The header is cut short.

    """
    # A lossless picture of one colour takes 28 bytes.
    if len(data) < (25 if data[12:16] == b"VP8L" else 30):
        raise ValueError("the header is cut short")
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _prepare(data: bytes, name: str, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    # Pillow's WebP plug-in allocates the canvas as it opens the file.
    limits.check(*canvas(data), name)
    return data, ()


def encode(samples: Samples, options: Options) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a WebP file, and notes."""
    exif, notes = exif_with_notes(samples, options.text)
    quality = options.quality or _DEFAULT_QUALITY
    lossless = {"lossless": True, "exact": True} if quality == 100 else {}
    data = save(samples, options, "WEBP", quality=quality, **lossless, **({"exif": exif} if exif else {}))
    return data, tuple(notes)


_READER = PillowReader("WebPImagePlugin.WebPImageFile", _prepare)
FORMAT = Format(
    "WebP",
    lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    _READER.decode,
    _READER.measure,
    (".webp",),
    _READER.document,
    # The container's 14 bits.
    Writer(encode, (".webp",), "image/webp", has_quality=True, longest_side=16_383),
)
