"""A PNG's chunks: those that the pixels need are held to the standard, damaged metadata are left out with a note.

As browsers do (PNG, third edition, 13): a wrong checksum or length in an ancillary chunk costs what the chunk says; one
in a critical chunk costs the picture, unless the pixels prove to be whole. Pillow and libpng refuse or print instead.
So they get to see only chunks that they need, and sound ones.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from impasto.errors import PictureError
from impasto.picture.formats.damage import CUT_BEHIND, DAMAGED_SUMS, DamagedError, damaged_metadata
from impasto.picture.limits import Limits
from impasto.system.text import printable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# PNG, third edition: colour types (11.2.1) and the passes of interlacing (8.1): left, top, across, down
GRAY, RGB, PALETTE = 0, 2, 3
CHANNELS = {GRAY: 1, RGB: 3, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_WHOLE = ((0, 0, 1, 1),)
_HEADER_LENGTH = 13
_DEPTHS = (1, 2, 4, 8, 16)

# What each chunk tells, for notes; and the lengths of those that have one (11.3).
_SUBJECTS = {
    b"tRNS": "transparency", b"iCCP": "colour profile", b"gAMA": "gamma", b"cHRM": "primaries", b"sRGB": "colour space",
    b"cICP": "colour space", b"pHYs": "resolution", b"eXIf": "EXIF data", b"tEXt": "text", b"zTXt": "text",
    b"iTXt": "text", b"tIME": "time", b"acTL": "animation", b"fcTL": "animation", b"fdAT": "animation",
}  # fmt: skip
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"tIME": 7, b"acTL": 8}
_COMPRESSED = (b"iCCP", b"zTXt")
# What Pillow is given beside the pixels.
_PASSED_ON = (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"eXIf")
_USED = frozenset([*_PASSED_ON, b"tRNS", b"iCCP", b"acTL", b"cICP"])


class Chunk(NamedTuple):
    """A chunk as it stands in the file: as small as it can be, as there may be many.

    Attributes:
        kind: its four letters.
        at: where it begins.
        end: where it ends, which may be behind the file.
        is_sound: whether its checksum is right.

    """

    kind: bytes
    at: int
    end: int
    is_sound: bool

    def content(self, data: bytes) -> bytes:
        """Return what is in it, as much as there is."""
        return data[self.at + 8 : self.end - 4]


@dataclass(frozen=True)
class Plain:
    """A PNG of the chunks that decoding needs.

    Attributes:
        data: a sound file.
        profile: content of the iCCP chunk, empty without one.
        code_points: primaries and transfer of the cICP chunk; None without one.
        is_animated: whether there are more pictures than one.
        notes: plain sentences on what was damaged.

    """

    data: bytes
    profile: bytes
    code_points: tuple[int, int] | None
    is_animated: bool
    notes: tuple[str, ...]


def plain(data: bytes, name: str, limits: Limits) -> Plain:
    """Return a PNG without its damaged and superfluous chunks.

    Args:
        data: the file.
        name: of the file, for messages.
        limits: on the number of chunks.

    Raises:
        PictureError: it has more chunks than `max_parts`, its size is over the limits, or it is not for other programs.
        DamagedError: pixels are missing, or cannot be told from damaged ones.

    """
    file_chunks = _chunks(data, name, limits)
    chunk = next(file_chunks, None)
    header = _header(data, chunk, name, limits)
    pixels: list[Chunk] = []
    palettes: list[bytes] = []
    sound: dict[bytes, Chunk] = {}
    damaged: list[str] = []
    for chunk in file_chunks:
        if chunk.kind == b"IDAT":
            pixels.append(chunk)
        elif chunk.kind == b"PLTE" and header[9] == PALETTE:
            if not chunk.is_sound:
                raise DamagedError("the palette is damaged")
            palettes.append(data[chunk.at : chunk.end])
        elif chunk.kind in (b"IHDR", b"IEND"):
            continue
        elif not chunk.is_sound or not _fits(chunk, data):
            damaged.append(_SUBJECTS.get(chunk.kind, "other data"))
        elif chunk.kind in _USED:
            sound.setdefault(chunk.kind, chunk)
    notes: tuple[str, ...] = (damaged_metadata(damaged),) if damaged else ()
    if chunk is None or chunk.kind != b"IEND" or chunk.end > len(data):
        notes += (CUT_BEHIND,)
    stream, sums_notes = _pixels(data, header, pixels)
    parts = [chunk_of(b"IHDR", header), *palettes[:1]]
    parts += [data[sound[kind].at : sound[kind].end] for kind in _PASSED_ON if kind in sound]
    if b"tRNS" in sound:
        parts.append(chunk_of(b"tRNS", _mask_to_depth(sound[b"tRNS"].content(data), header)))
    animation, colors = sound.get(b"acTL"), sound.get(b"cICP")
    return Plain(
        data=b"".join([SIGNATURE, *parts, *stream, chunk_of(b"IEND", b"")]),
        profile=sound[b"iCCP"].content(data) if b"iCCP" in sound else b"",
        code_points=None if colors is None else (data[colors.at + 8], data[colors.at + 9]),
        is_animated=animation is not None and int.from_bytes(animation.content(data)[:4], "big") > 1,
        notes=notes + sums_notes,
    )


def _header(data: bytes, chunk: Chunk | None, name: str, limits: Limits) -> bytes:
    """Return the content of the first chunk, which is the header, if it declares a picture within the limits."""
    if chunk is not None and chunk.kind == b"CgBI":
        raise PictureError(
            f"{printable(name)}: is a PNG in Apple's form for apps, which is not read; convert it to PNG"
        )
    header = b"" if chunk is None or chunk.kind != b"IHDR" or not chunk.is_sound else chunk.content(data)
    if len(header) != _HEADER_LENGTH or header[8] not in _DEPTHS or header[9] not in (PALETTE, *CHANNELS):
        raise DamagedError("the header is damaged")
    width, height = struct.unpack_from(">II", header)
    limits.check(width, height, name)
    return header


def chunk_of(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with length and checksum."""
    return b"".join(pieces_of(kind, content))


def pieces_of(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    """Return what `chunk_of` joins, without a copy of the content."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)


def parts_of(header: bytes) -> list[tuple[tuple[int, int, int, int], int]]:
    """Return ((left, top, across, down), bytes of its rows) of each pass of interlacing that has pixels.

    Args:
        header: content of IHDR.

    """
    width, height, depth, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", header)
    channels = CHANNELS.get(colour_type, 1)
    parts = []
    for place in _PASSES if interlace else _WHOLE:
        left, top, across, down = place
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            # Each row begins with a filter byte.
            parts.append((place, rows * (1 + -(-columns * depth * channels // 8))))
    return parts


def _chunks(data: bytes, name: str, limits: Limits) -> Iterator[Chunk]:
    """Yield the chunks up to the end of the picture or of the file."""
    view, at, count = memoryview(data), len(SIGNATURE), 0
    while at + 8 <= len(data):
        count += 1
        limits.check_parts(count, name)
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        is_sound = end <= len(data) and zlib.crc32(view[at + 4 : end - 4]).to_bytes(4, "big") == view[end - 4 : end]
        yield Chunk(kind, at, end, is_sound)
        if kind == b"IEND":
            return
        if not is_sound and kind[0] & 0x20 and not data[end + 4 : end + 8].isalpha():
            # The length is damaged, so that no chunk follows: the pixels may all the same be there.
            end = _find_pixels(data, at + 8)
        at = end


def _find_pixels(data: bytes, at: int) -> int:
    """Return where the next sound chunk of the palette or of pixels begins; the end of the file without one."""
    while (letters := min((p for p in (data.find(k, at) for k in (b"PLTE", b"IDAT")) if p >= 0), default=-1)) >= 0:
        end = letters + 4 + int.from_bytes(data[letters - 4 : letters], "big")
        if data[end : end + 4] == zlib.crc32(memoryview(data)[letters:end]).to_bytes(4, "big"):
            return letters - 4
        at = letters + 1
    return len(data)


def _fits(chunk: Chunk, data: bytes) -> bool:
    """Tell whether a sound chunk says something that its kind can say."""
    if chunk.kind in _LENGTHS:
        return chunk.end - chunk.at - 12 == _LENGTHS[chunk.kind]
    # Behind the name is the method of compression, of which there is one.
    return chunk.kind not in _COMPRESSED or data[chunk.at + 8 : chunk.at + 89].partition(b"\0")[2][:1] == b"\0"


def _mask_to_depth(transparent: bytes, header: bytes) -> bytes:
    """Return a transparent colour without bits above the depth, which decoders ignore (11.3.2.1)."""
    depth, colour_type = header[8], header[9]
    if colour_type not in (GRAY, RGB) or len(transparent) != 2 * CHANNELS[colour_type]:
        return transparent
    levels = struct.unpack(f">{CHANNELS[colour_type]}H", transparent)
    return struct.pack(f">{len(levels)}H", *(level & (1 << depth) - 1 for level in levels))


def _pixels(data: bytes, header: bytes, chunks: list[Chunk]) -> tuple[list[memoryview], tuple[str, ...]]:
    """Return the chunks of the pixels and notes; anew, if they are damaged but the pixels prove to be whole."""
    if not chunks:
        raise DamagedError("the pixels are incomplete")
    if all(chunk.is_sound for chunk in chunks):
        view = memoryview(data)
        return [view[chunk.at : chunk.end] for chunk in chunks], ()
    stream = b"".join(chunk.content(data) for chunk in chunks)
    size = sum(part for _, part in parts_of(header))
    decompressor = zlib.decompressobj()
    try:
        rows = decompressor.decompress(stream, size)
        # The sum behind the rows proves them where a chunk's own sum is wrong.
        decompressor.decompress(decompressor.unconsumed_tail, 1)
    except zlib.error as error:
        raise DamagedError("the pixels are damaged") from error
    are_cut = chunks[-1].end > len(data)
    if len(rows) < size or not (decompressor.eof or are_cut):
        raise DamagedError("the pixels are incomplete")
    notes = () if are_cut else (DAMAGED_SUMS,)
    return [memoryview(chunk_of(b"IDAT", zlib.compress(rows, 1)))], notes
