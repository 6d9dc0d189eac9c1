"""AVIF, read and written by Pillow."""

from impasto.errors import PictureError
from impasto.picture.formats.encode import FULL_CHROMA, exif_with_notes, save
from impasto.picture.formats.format import Format, Options, Writer, brands
from impasto.picture.formats.pillow import PillowReader
from impasto.picture.formats.samples import Samples, with_code_points
from impasto.picture.limits import Limits
from impasto.system.text import printable

# Ours, measured as for JPEG: 40.1 and 42.4 dB in a third of PNG's size.
_DEFAULT_QUALITY = 90
# Ours: the boxes before the pixels take some hundred bytes, and with a profile or EXIF data some 100 kB.
_HEADER = 1 << 20


def _prepare(data: bytes, name: str, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    # ISO 23008-12, 3rd edition: a file without boxes of its own, in a few bytes.
    if data[8:12] == b"mif3":
        raise PictureError(
            f"{printable(name)}: is an AVIF in the short form (mif3), which is not read; convert it to PNG"
        )
    return data, ()


_READER = PillowReader("AvifImagePlugin.AvifImageFile", _prepare)


def encode(samples: Samples, options: Options) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of an AVIF file, and notes."""
    exif, notes = exif_with_notes(samples, options.text)
    settings = {"quality": options.quality or _DEFAULT_QUALITY, "subsampling": FULL_CHROMA}
    return save(samples, options, "AVIF", **settings, **({"exif": exif} if exif else {})), tuple(notes)


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the picture; without a profile its colours are those of its code points."""
    samples = _READER.decode(data, name, limits)
    return samples if samples.icc_profile is not None else with_code_points(samples, _code_points(data))


def _code_points(data: bytes) -> tuple[int, int] | None:
    """Return primaries and transfer of the first box `colr` of code points (ISO/IEC 23000-22 and 14496-12)."""
    at = data.find(b"colrnclx", 0, _HEADER)
    if at < 0 or at + 12 > len(data):
        return None
    return int.from_bytes(data[at + 8 : at + 10], "big"), int.from_bytes(data[at + 10 : at + 12], "big")


FORMAT = Format(
    "AVIF",
    lambda data: b"avif" in brands(data) or b"avis" in brands(data),
    decode,
    _READER.measure,
    (".avif",),
    _READER.document,
    # libavif's default limit.
    Writer(encode, (".avif",), "image/avif", has_quality=True, longest_side=32_768),
)
