"""PNG: read by Pillow, but at 16 bits, which Pillow cannot hold; written here, chunk by chunk."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from impasto.picture.formats.bounds import without_long_profile
from impasto.picture.formats.damage import DamagedError
from impasto.picture.formats.encode import to_levels
from impasto.picture.formats.format import Format, Options, Writer, begins_with
from impasto.picture.formats.pillow import ANIMATED, PillowReader
from impasto.picture.formats.png_chunks import CHANNELS, GRAY, RGB, SIGNATURE, chunk_of, parts_of, pieces_of, plain
from impasto.picture.formats.samples import Samples, with_code_points
from impasto.picture.levels import Stored
from impasto.picture.limits import Limits
from impasto.picture.metadata import KEYWORD, exif_block
from impasto.picture.profiles import IGNORED, Space
from impasto.recipe.provenance import MOST_BYTES

_HEADER_END = 33  # signature and IHDR


def needs_full_depth(data: bytes) -> bool:
    """Tell whether Pillow would lose something: 16-bit levels, or a transparent colour given at other depths than 8."""
    depth, colour_type = data[24], data[25]
    return depth == 16 or (depth < 8 and colour_type == GRAY and any(kind == b"tRNS" for kind, _ in chunks(data)))


def decode_pixels(data: bytes) -> tuple[Stored, Space, Stored | None, int]:
    """Return (values, space, alpha, bits) of a PNG without a palette, as in `Samples`.

    libpng prints its warnings to the terminal: about odd metadata, wrong lengths, left-over data and interlacing. So it
    only ever gets to see well-formed, plain pixels, one interlacing pass at a time.

    Raises:
        ValueError, RuntimeError, zlib.error: The data is damaged.
    """
    import imagecodecs

    width, height, depth, colour_type, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if compression or filtering or interlace not in (0, 1) or colour_type not in CHANNELS:
        raise DamagedError("the header is damaged")
    channels = CHANNELS[colour_type]
    stream, transparent = _content(data)
    pixels = np.empty((height, width, channels), np.uint16 if depth == 16 else np.uint8)
    parts = parts_of(data[16:29])
    # A stream that holds more than the header declares is not taken further.
    size = sum(size for _, size in parts)
    scanlines = memoryview(zlib.decompressobj().decompress(stream, size))
    del stream
    if len(scanlines) < size:
        raise DamagedError("the pixels are incomplete")
    for (left, top, across, down), size in parts:
        part = pixels[top::down, left::across]
        plain_part = _plain(part.shape[1], len(part), depth, colour_type, scanlines[:size])
        # What is left of none is freed before the last part is decoded.
        scanlines = scanlines[size:] or memoryview(b"")
        part[:] = imagecodecs.png_decode(plain_part).reshape(part.shape)
    alpha = pixels[:, :, -1] if channels in (2, 4) else None
    if colour_type in (GRAY, RGB) and len(transparent) == 2 * channels:
        alpha = _alpha_of_key(pixels, struct.unpack(f">{channels}H", transparent), depth)
    values = pixels[:, :, :1] if channels <= 2 else pixels[:, :, :3]
    return values, "gray" if channels <= 2 else "rgb", alpha, 16 if depth == 16 else 8


def encode_pixels(pixels: Stored, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG of (H, W, 3|4) uint8 or uint16, with extra chunks (kind, data) before the pixels."""
    import imagecodecs

    # Ours, measured on a 16-bit photograph: level 9 is 0.5 % smaller in twice the time, level 1 is 11 % larger.
    plain = bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=6))
    extra = b"".join(chunk_of(kind, content) for kind, content in chunks)
    return plain[:_HEADER_END] + extra + plain[_HEADER_END:]


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    """Return an ICC profile as an iCCP chunk."""
    return b"iCCP", b"sRGB\0\0" + zlib.compress(profile, 9)


def dpi_chunk(dpi: tuple[float, float]) -> tuple[bytes, bytes]:
    """Return pixels an inch as a pHYs chunk, which counts pixels a metre."""
    x, y = (min(round(value / 0.0254), 2**31 - 1) for value in dpi)
    return b"pHYs", struct.pack(">IIB", x, y, 1)


def text_chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    """Return an iTXt chunk: UTF-8, not compressed, of no language."""
    return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8")


def exif_chunk(block: bytes) -> tuple[bytes, bytes]:
    """Return EXIF data as Pillow makes them as an eXIf chunk, which goes without their first six bytes."""
    return b"eXIf", block.removeprefix(b"Exif\0\0")


def _content(data: bytes) -> tuple[bytes, bytes]:
    """Return what is in the IDAT chunks and in the tRNS chunk."""
    content = {b"IDAT": bytearray(), b"tRNS": bytearray()}
    for kind, chunk in chunks(data):
        if kind in content:
            content[kind] += chunk[8:-4]
    return bytes(content[b"IDAT"]), bytes(content[b"tRNS"])


def _plain(width: int, height: int, depth: int, colour_type: int, scanlines: memoryview) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    # Stored, not compressed: it is taken apart again at once.
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scanlines, 0)), (b"IEND", b""))
    return b"".join([SIGNATURE, *(piece for kind, content in chunks for piece in pieces_of(kind, content))])


def _alpha_of_key(pixels: Stored, key: tuple[int, ...], depth: int) -> NDArray[np.uint8]:
    """Return alpha: 0 where a pixel has the transparent colour, which is given at the file's depth."""
    levels = np.array(key) * ((2 ** max(depth, 8) - 1) // (2**depth - 1))
    return np.where((pixels == levels).all(axis=2), np.uint8(0), np.uint8(255))


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, whole chunk with length and checksum)."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at : at + 12 + length]
        at += 12 + length


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the picture, with all its levels."""
    selected = plain(data, name, limits)
    samples = _READER.decode(selected.data, name, limits)
    notes = (ANIMATED, *selected.notes) if selected.is_animated else selected.notes
    profile = None
    if selected.profile:
        try:
            # Behind the name and the method of compression; Pillow would refuse more than a megabyte.
            compressed = selected.profile.partition(b"\0")[2][1:]
            profile = zlib.decompressobj().decompress(compressed, limits.max_profile_bytes + 1)
        except zlib.error:
            notes = (*notes, IGNORED)
    samples = without_long_profile(replace(samples, icc_profile=profile, notes=samples.notes + notes), limits)
    # PNG, third edition, 4.3: they come before a profile and all else.
    samples = with_code_points(samples, selected.code_points)
    if not needs_full_depth(selected.data):
        return samples
    values, space, alpha, bits = decode_pixels(selected.data)
    return replace(samples, values=values, space=space, alpha=alpha, bits=bits)


def measure(data: bytes, name: str, limits: Limits) -> tuple[int, int]:
    """Return (height, width), upright."""
    return _READER.measure(plain(data, name, limits).data, name, limits)


def encode(samples: Samples, options: Options) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a PNG file, and no notes."""
    parts = [profile_chunk(options.icc_profile)]
    if samples.dpi:
        parts.append(dpi_chunk(samples.dpi))
    block = exif_block(samples.credits)
    if block:
        parts.append(exif_chunk(block))
    texts = {KEYWORD: samples.document, **options.text} if samples.document else options.text
    parts += [text_chunk(keyword, value) for keyword, value in texts.items()]
    return encode_pixels(to_levels(samples, options), parts), ()


def document(data: bytes, name: str, limits: Limits) -> str | None:
    """Return the text under our keyword, one byte more than is allowed at most."""
    start = KEYWORD.encode() + b"\0"
    for kind, chunk in chunks(data):
        content = memoryview(chunk)[8:-4]
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or bytes(content[: len(start)]) != start:
            continue
        content = content[len(start) : len(start) + MOST_BYTES + 1]
        if kind == b"tEXt":
            return bytes(content).decode("latin-1")
        if kind == b"zTXt":
            return _inflate(content[1:]).decode("latin-1")
        compressed, _, rest = content[0], content[1], bytes(content[2:])
        text = rest.split(b"\0", 2)[2]  # after the language and the translated keyword
        return (_inflate(text) if compressed else text).decode("utf-8", "replace")
    return None


def _inflate(data: bytes | memoryview) -> bytes:
    return zlib.decompressobj().decompress(data, MOST_BYTES + 1)


_READER = PillowReader("PngImagePlugin.PngImageFile")
FORMAT = Format(
    "PNG",
    begins_with(SIGNATURE),
    decode,
    measure,
    (".png",),
    document,
    Writer(encode, (".png",), "image/png", depths=(8, 16)),
)
