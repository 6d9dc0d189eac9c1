"""JPEG, read and written by Pillow; its segments are counted and measured before a decoder sees them."""

import dataclasses

import numpy as np

from impasto.errors import PictureError
from impasto.picture.formats.encode import FULL_CHROMA, exif_with_notes, save
from impasto.picture.formats.format import Format, Options, Writer, begins_with
from impasto.picture.formats.jpeg_segments import APP1, EXIF, FRAMES, SCAN, plain, segments, with_end
from impasto.picture.formats.pillow import LONG_EXIF, PillowReader
from impasto.picture.formats.samples import Samples
from impasto.picture.formats.tags import overlapping
from impasto.picture.limits import Limits
from impasto.system.text import printable

ON_WHITE = "JPEG has no transparency: the picture was laid on white."
# Ours, measured on a stylised 512 x 384 picture with hard strokes and on a 1024 x 768 photograph: 40.3 and 43.3 dB PSNR
# in a third of PNG's size.
_DEFAULT_QUALITY = 95
# ITU-T T.81, table B.1, and T.87
_JPEG_LS = 0xF7
_OTHER_KINDS = {_JPEG_LS: "JPEG-LS"} | dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF), "hierarchical JPEG")
_PLUGIN = "JpegImagePlugin.JpegImageFile"
# libjpeg's JPEG_MAX_DIMENSION.
_LONGEST_SIDE = 65_500
# One segment holds 65,533 bytes.
_LONGEST_EXIF = 65_500


def check(data: bytes, name: str, limits: Limits) -> tuple[bytes, bool]:
    """Return a JPEG that is within the limits, and whether its EXIF data were not and have been left out.

    Raises:
        PictureError: More segments or scans than the limits allow.
    """
    exif, parts, scans = [], 0, 0
    for marker, start, end, fill in segments(data):
        # A decoder looks at bytes that only fill one by one.
        parts += 1 + fill
        scans += marker == SCAN
        limits.check_parts(parts, name)
        limits.check_scans(scans, name)
        if marker == APP1 and data[start + 4 : start + 10] == EXIF:
            exif.append((start, end))
    block = b"".join(data[start + 10 : end] for start, end in exif)
    if len(block) <= limits.max_exif_bytes and not overlapping(block):
        return data, False
    kept, at = [], 0
    for start, end in exif:
        kept.append(data[at:start])
        at = end
    return b"".join([*kept, data[at:]]), True


def size(data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that the first frame's header declares; None where there is none."""
    for marker, start, _, _ in segments(data):
        if marker in FRAMES and start + 9 <= len(data):
            return int.from_bytes(data[start + 7 : start + 9], "big"), int.from_bytes(
                data[start + 5 : start + 7], "big"
            )
    return None


def _check_kind(data: bytes, name: str) -> None:
    """Refuse what Pillow and libjpeg-turbo do not decode: other depths, and kinds that photos are not stored in."""
    for marker, start, _, _ in segments(data):
        if marker == SCAN:
            return
        if marker in FRAMES | {_JPEG_LS} and data[start + 4 : start + 5] not in (b"", b"\x08"):
            raise PictureError(
                f"{printable(name)}: a JPEG of {data[start + 4]} bits a channel is not read; convert it to PNG"
            )
        if marker in _OTHER_KINDS:
            raise PictureError(f"{printable(name)}: a {_OTHER_KINDS[marker]} is not read; convert it to PNG")


def _prepare(data: bytes, name: str, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    data, is_long = check(data, name, limits)
    _check_kind(data, name)
    data, notes = plain(data)
    return data, (*notes, LONG_EXIF) if is_long else notes


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the picture."""
    data, notes = _prepare(data, name, limits)
    declared = size(data)
    if declared is not None:
        limits.check(*declared, name)
    data, end_notes = with_end(data)
    samples = PillowReader(_PLUGIN).decode(data, name, limits)
    return dataclasses.replace(samples, notes=(*samples.notes, *notes, *end_notes))


def encode(samples: Samples, options: Options) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a JPEG file, on white where the picture is transparent, and notes."""
    notes: list[str] = []
    if samples.alpha is not None:
        samples = on_white(samples)
        notes.append(ON_WHITE)
    exif, left_out = exif_with_notes(samples, options.text, _LONGEST_EXIF)
    data = save(
        samples,
        options,
        "JPEG",
        quality=options.quality or _DEFAULT_QUALITY,
        subsampling=FULL_CHROMA,
        optimize=True,
        **({"dpi": samples.dpi} if samples.dpi and max(samples.dpi) <= 65535 else {}),
        **({"exif": exif} if exif else {}),
    )
    return data, (*notes, *left_out)


def on_white(samples: Samples) -> Samples:
    """Return float samples laid on white, without alpha."""
    assert samples.alpha is not None
    alpha = samples.alpha[:, :, None]
    return dataclasses.replace(samples, values=np.clip(1 - alpha + alpha * samples.values, 0, 1), alpha=None)


_READER = PillowReader(_PLUGIN, _prepare)
FORMAT = Format(
    "JPEG",
    begins_with(b"\xff\xd8\xff"),
    decode,
    _READER.measure,
    (".jpg", ".jpeg"),
    _READER.document,
    Writer(encode, (".jpg", ".jpeg"), "image/jpeg", has_quality=True, has_inks=True, longest_side=_LONGEST_SIDE),
)
