"""WebP, read and written by Pillow; its header is read before anything is allocated."""

from impasto.picture.formats.damage import CUT_BEHIND, DamagedError
from impasto.picture.formats.encode import exif_with_notes, save
from impasto.picture.formats.format import Format, Options, Writer
from impasto.picture.formats.pillow import PillowReader
from impasto.picture.formats.samples import Samples
from impasto.picture.limits import Limits

# Ours, measured as for JPEG. WebP always halves the chroma and stays at 37 and 39 dB whatever its quality, short of
# 100, which is lossless here.
_DEFAULT_QUALITY = 95
# RFC 9649, sections 2.5 to 2.7: chunks that hold a picture, lossy, lossless and animated; those behind it, with flags
# that say they are there.
_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
_FLAGS = {b"EXIF": 8, b"XMP ": 4}


def canvas(data: bytes) -> tuple[int, int]:
    """Return the canvas's (width, height) (RFC 9649, sections 2.5 to 2.7).

    Raises:
        DamagedError: The header is cut short.

    """
    kind, start = data[12:16], data[20:30]
    if len(start) < {b"VP8X": 10, b"VP8L": 5}.get(kind, 10):
        raise DamagedError("the header is cut short")
    if kind == b"VP8X":
        return int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
    if kind == b"VP8L":
        packed = int.from_bytes(start[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return int.from_bytes(start[6:8], "little") & 0x3FFF, int.from_bytes(start[8:10], "little") & 0x3FFF


def plain(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a WebP without what was cut behind its first picture, and a note if something was.

    Raises:
        DamagedError: pixels are missing.

    """
    declared_end = 8 + int.from_bytes(data[4:8], "little")
    chunks: list[bytes] = []
    missing, at = b"", 12
    while at + 8 <= len(data) and at < declared_end:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            missing = kind
            break
        # An odd chunk is followed by a byte that says nothing (RFC 9649, section 2.3).
        chunks.append(data[at : at + 8 + length].ljust(8 + length + length % 2, b"\0"))
        at += len(chunks[-1])
    if not missing and at <= declared_end <= len(data):
        return data, ()
    pictures = [chunk for chunk in chunks if chunk[:4] in _PICTURES]
    if not pictures or missing in _PICTURES[:2]:
        raise DamagedError("the pixels are incomplete")
    if chunks[0][:4] == b"VP8X":
        kept = {chunk[:4] for chunk in chunks}
        absent = sum(flag for kind, flag in _FLAGS.items() if kind not in kept)
        chunks[0] = chunks[0][:8] + bytes([chunks[0][8] & ~absent]) + chunks[0][9:]
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body, (CUT_BEHIND,)


def _prepare(data: bytes, name: str, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    # Pillow's WebP plug-in allocates the canvas as it opens the file.
    limits.check(*canvas(data), name)
    return plain(data)


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
