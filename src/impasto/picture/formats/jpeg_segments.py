"""A JPEG's segments: those that decoding needs, without damaged ones; and whether a file without its end is whole."""

import hashlib
import re
from collections.abc import Iterator
from io import BytesIO

from impasto.picture.formats.damage import CUT_BEHIND, DamagedError, damaged_metadata

# ITU-T T.81, table B.1: start of frame (not DHT, JPG and DAC), start of scan, end of image, application data, comment
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN, END, APP0, APP1, APP2, APP14, APP15, COMMENT = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
EXIF, _JFIF, _ICC, _ADOBE = b"Exif\0\0", b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"
# What each of them takes at least: T.871, 10.1; ICC.1:2022, B.4; Adobe Technical Note 5116, section 18
_SHORTEST = {_JFIF: 14, _ICC: 14, _ADOBE: 12}
_SUBJECTS = {_JFIF: "resolution", _ICC: "colour profile", _ADOBE: "colour model"}
_NEEDED = {APP0: _JFIF, APP1: EXIF, APP2: _ICC, APP14: _ADOBE}
# T.81, B.1.1.2: any number of FF may come before a marker; in a scan's data FF is followed by 0 or a restart.
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_NEXT = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_COEFFICIENTS = 64
_END_MARKER = bytes([0xFF, END])
# Ours: bits of three kinds, in no two of which the same symbols are read.
_FILLINGS = (b"", b"\x55" * 64, b"\xaa" * 64)


def segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield (marker, start, end, filling bytes before) of each segment up to the end of the image, the last one."""
    at = 2
    while match := _MARKER.match(data, at):
        marker, start = match[1][0], match.end() - 2
        if marker == END:
            yield marker, start, match.end(), start - at
            return
        # Restarts and TEM stand alone.
        alone = 0xD0 <= marker <= 0xD8 or marker in (0, 1)
        end = match.end() if alone else match.end() + int.from_bytes(data[match.end() : match.end() + 2], "big")
        yield marker, start, max(end, match.end()), start - at
        at = max(end, match.end())
        # Decoders go on to the next marker over whatever lies between.
        marker_match = _NEXT.search(data, at)
        if marker_match is None:
            return
        at = marker_match.start()


def plain(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a JPEG without comments and application data that decoding has no use for, and a note on damaged ones.

    So Pillow neither trips over them nor reads an orientation in XMP. Behind the first scan it looks at none.
    """
    dropped: list[tuple[int, int]] = []
    profile: list[tuple[int, int]] = []
    damaged: list[str] = []
    for marker, start, end, _ in segments(data):
        if marker == SCAN:
            break
        if not APP0 <= marker <= APP15 and marker != COMMENT:
            continue
        content, needed = data[start + 4 : end], _NEEDED.get(marker)
        if needed is None or not content.startswith(needed):
            dropped.append((start, end))
        elif len(content) < _SHORTEST.get(needed, 0):
            dropped.append((start, end))
            damaged.append(_SUBJECTS[needed])
        elif needed == _ICC:
            profile.append((start, end))
    # A profile is in as many segments as each of them says.
    if any(data[start + 17] != len(profile) for start, _ in profile):
        dropped += profile
        damaged.append(_SUBJECTS[_ICC])
    kept, at = [], 0
    for start, end in sorted(dropped):
        kept.append(data[at:start])
        at = end
    notes = (damaged_metadata(damaged),) if damaged else ()
    return (b"".join([*kept, data[at:]]) if dropped else data), notes


def with_end(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a JPEG with its end marker, and a note if that was missing.

    Raises:
        DamagedError: with the end marker, pixels are missing.

    """
    found = [] if data.endswith(_END_MARKER) else list(segments(data))
    if not found or found[-1][0] == END:
        return data, ()
    marker, start, end, _ = found[-1]
    if end > len(data) and marker not in FRAMES and marker != SCAN:
        data = data[:start]
    data = data.rstrip(b"\xff")
    # Bits behind the last pixel change nothing; where pixels are missing, they become pixels.
    if not _has_all_scans(data) or len({_digest(data + filling) for filling in _FILLINGS}) > 1:
        raise DamagedError("the pixels are incomplete")
    return data + _END_MARKER, (CUT_BEHIND,)


def _has_all_scans(data: bytes) -> bool:
    """Tell whether every coefficient of every component is given to its last bit (T.81, B.2.2, B.2.3 and G.1.1.1)."""
    missing: set[tuple[int, int]] = set()
    for marker, start, end, _ in segments(data):
        content = data[start + 4 : end]
        if marker in FRAMES:
            missing |= {(component, k) for component in content[6::3] for k in range(_COEFFICIENTS)}
        elif marker == SCAN and len(content) >= 4:
            first, last, bit = content[-3], content[-2], content[-1] & 15
            if bit == 0:
                # In a sequential JPEG these say 0 to 63, too.
                missing -= {(component, k) for component in content[1:-3:2] for k in range(first, last + 1)}
    return not missing


def _digest(data: bytes) -> bytes:
    from PIL.JpegImagePlugin import JpegImageFile

    with JpegImageFile(BytesIO(data + _END_MARKER)) as image:
        return hashlib.sha256(image.tobytes()).digest()
