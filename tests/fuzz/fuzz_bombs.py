"""Small files that would take very much memory or time, made by hand, with the message for each."""

import functools
import io
import lzma
import struct
import zlib
from collections.abc import Callable

import imagecodecs
from PIL import Image

from tests.fuzz import fuzz_seeds
from tests.picture import samples

INFLATED = 100_000_000
Entry = tuple[int, int, int, int]
_READ = ""  # it is read as a picture, without the part that is too large


@functools.cache
def _zeros() -> bytes:
    return zlib.compress(bytes(INFLATED), 9)


def _png(*chunks: bytes) -> bytes:
    return samples.png_file(8, 8, 8, 2, bytes(200), b"".join(chunks))


def _png_pixels(depth: int) -> bytes:
    whole = samples.png_file(8, 8, depth, 2, b"")
    return whole[:33] + samples.png_chunk(b"IDAT", _zeros()) + samples.png_chunk(b"IEND", b"")


def _exif(size: int) -> bytes:
    """EXIF data in which thousands of values share the same bytes."""
    count = size // 24
    start = 8 + 2 + 12 * count + 4
    table = b"".join(struct.pack("<HHII", tag, 7, size - start, start) for tag in range(count))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + table + bytes(4 + size - start)


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _jpeg(extra: bytes) -> bytes:
    whole = samples.pillow_file(samples.scene(16, 16), "JPEG")
    return whole[:2] + extra + whole[2:]


def _jpeg_exif() -> bytes:
    exif = _exif(1_200_000)
    return _jpeg(b"".join(_segment(0xE1, b"Exif\0\0" + exif[at : at + 65000]) for at in range(0, len(exif), 65000)))


def _jpeg_scans() -> bytes:
    whole = samples.pillow_file(Image.new("L", (1800, 1800)), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * 3000 + b"\xff\xd9"


def _header(count: int) -> int:
    return 8 + 2 + 12 * count + 4


def _tiff(entries: list[Entry], tail: bytes, following: int = 0) -> bytes:
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + struct.pack("<I", following) + tail


def _page(data: bytes, side: int = 16, extra: tuple[Entry, ...] = (), **tags: int) -> bytes:
    """A TIFF of one strip of 8-bit grey, with other values for some tags."""
    values = {"bits": (258, 8), "compression": (259, 1), "model": (262, 1), "channels": (277, 1)}
    entries = [(256, 4, 1, side), (257, 4, 1, side), (278, 4, 1, side)]
    entries += [(code, 4, 1, tags.get(name, default)) for name, (code, default) in values.items()]
    place = _header(len(entries) + 2 + len(extra))
    return _tiff([*entries, (273, 4, 1, place), (279, 4, 1, len(data)), *extra], data)


_BARE: list[Entry] = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1), (277, 4, 1, 1)]


def _tiff_repeated() -> bytes:
    """A directory with the same long tag three thousand times."""
    place = _header(len(_BARE) + 3002)
    entries = [*_BARE, (278, 4, 1, 16), (279, 4, 1, 256), *[(273, 4, 100_000, place)] * 3000]
    return _tiff(entries, struct.pack("<I", 8) * 100_000)


def _tiff_strips() -> bytes:
    place = _header(len(_BARE) + 3)
    entries = [*_BARE, (278, 4, 1, 1), (279, 4, 1_000_000, place), (273, 4, 1_000_000, place)]
    return _tiff(entries, struct.pack("<I", 8) * 1_000_000)


def _tiff_exif() -> bytes:
    """An EXIF directory in which thousands of values share the same bytes."""
    place = _header(len(_BARE) + 4)
    inner = b"".join(struct.pack("<HHII", 40000 + i, 4, 100_000, place) for i in range(4000))
    entries = [*_BARE, (278, 4, 1, 16), (273, 4, 1, 8), (279, 4, 1, 256), (34665, 4, 1, place)]
    return _tiff(entries, struct.pack("<H", 4000) + inner + bytes(400_000))


def _webp(side: int) -> bytes:
    return samples.pillow_file(Image.new("RGB", (side, side)), "WEBP", lossless=True)


def _gif_frame() -> bytes:
    """A frame far larger than the canvas."""
    canvas = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0)
    return canvas + b"," + struct.pack("<HHHHB", 0, 0, 9000, 9000, 0) + b"\x02\x01\x44\0;"


def _gif_comment() -> bytes:
    whole = samples.pillow_file(Image.new("L", (16, 16)), "GIF")
    at = whole.index(b",", 13)
    return whole[:at] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 40_000 + b"\0" + whole[at:]


def _gif_frames() -> bytes:
    frames = [Image.new("L", (16, 16), value % 255) for value in range(2000)]
    return samples.pillow_file(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _webp_chunks() -> bytes:
    body = samples.pillow_file(samples.scene(16, 16), "WEBP", exif=b"Exif\0\0II*\0")[12:] + b"abcd\0\0\0\0" * 200_000
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _webp_exif() -> bytes:
    return samples.pillow_file(samples.scene(16, 16), "WEBP", exif=_exif(1_200_000))


def _avif() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4000, 4000)).save(stream, "AVIF", speed=10)
    data = bytearray(stream.getvalue())
    at = data.index(b"ispe")
    data[at + 8 : at + 16] = struct.pack(">II", 16, 16)
    return bytes(data)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "png pixels": (lambda: _png_pixels(8), _READ),
    "png deep pixels": (lambda: _png_pixels(16), _READ),
    "png profile": (lambda: _png(samples.png_chunk(b"iCCP", b"x\0\0" + _zeros())), _READ),
    "png text": (lambda: _png(samples.png_chunk(b"zTXt", b"x\0\0" + _zeros())), _READ),
    "png memory": (lambda: _png(samples.png_chunk(b"zTXt", b"impasto\0\0" + _zeros())), _READ),
    "png chunks": (lambda: _png(samples.png_chunk(b"tEXt", b"a\0b") * 300_000), "200,000 parts"),
    "png exif": (lambda: _png(samples.png_chunk(b"eXIf", _exif(1_200_000))), _READ),
    "jpeg exif": (_jpeg_exif, _READ),
    "jpeg scans": (_jpeg_scans, "100 scans"),
    "jpeg comments": (lambda: _jpeg(_segment(0xFE, b"a") * 300_000), "200,000 parts"),
    "jpeg filling": (lambda: _jpeg(b"\xff" * 5_000_000), "200,000 parts"),
    "jpeg profiles": (lambda: _jpeg(_segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65000)) * 100), _READ),
    "tiff repeated": (_tiff_repeated, _READ),
    "tiff strips": (_tiff_strips, "200,000 parts"),
    "tiff exif": (_tiff_exif, _READ),
    "tiff tiles": (lambda: _page(bytes(100), 2000, ((322, 4, 1, 1), (323, 4, 1, 1))), "200,000 parts"),
    "tiff depth": (lambda: _page(bytes(100), 2000, bits=64, channels=8, compression=8), "its pixels take"),
    "tiff deflate": (lambda: _page(_zeros(), compression=8), "damaged"),
    "tiff lzma": (lambda: _page(lzma.compress(bytes(INFLATED), preset=0), compression=34925), _READ),
    "tiff zstd": (lambda: _page(bytes(imagecodecs.zstd_encode(bytes(INFLATED))), compression=50000), "damaged"),
    "tiff lzw": (lambda: _page(bytes(imagecodecs.lzw_encode(bytes(INFLATED // 10))), compression=5), _READ),
    "tiff jpeg": (
        lambda: _page(samples.pillow_file(Image.new("L", (9000, 9000)), "JPEG"), compression=7),
        "9000 x 9000 pixels and declared as 16 x 16",
    ),
    "tiff webp": (lambda: _page(_webp(9000), compression=50001, channels=3, model=2), "declared as 16 x 16"),
    "tiff profile": (lambda: _page(bytes(256), extra=((34675, 4, 1, 0xFFFFFFFF),)), _READ),
    "tiff codec": (lambda: _page(bytes(256), compression=34934), "compressed as JPEGXR"),
    "tiff circle": (lambda: _tiff([*_BARE, (278, 4, 1, 16), (273, 4, 1, 8), (279, 4, 1, 256)], bytes(300), 8), _READ),
    "gif frame": (_gif_frame, "over the limit"),
    "gif comment": (_gif_comment, _READ),
    "gif frames": (_gif_frames, _READ),
    "webp chunks": (_webp_chunks, _READ),
    "webp exif": (_webp_exif, _READ),
    "avif frame": (_avif, _READ),  # libavif stops at 16384 x 16384: see SECURITY.md
    "pnm numbers": (lambda: b"P3 2000 2000 255\n" + b"1 " * 1_000_000, "pixels are incomplete"),
    "pnm header": (lambda: b"P6 2000 2000 255\n", "damaged"),
}
assert fuzz_seeds
