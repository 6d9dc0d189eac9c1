"""Pictures and files that the tests of impasto.picture share."""

import functools
import io
import struct
import subprocess
import sys
import tempfile
import textwrap
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from impasto.picture import PictureSource, as_picture, write_picture

Levels = TypeVar("Levels", np.uint8, np.uint16)
Primaries = Sequence[tuple[float, float]]


class WriteOptions(TypedDict, total=False):
    """What `write_picture` can be told beside the format."""

    bits: int
    quality: int | None
    text: Mapping[str, str] | None
    metadata: bool
    compression: str | None
    profile: str | bytes | None


class TiffLayout(TypedDict, total=False):
    """The data types that tifffile writes."""

    bigtiff: bool
    byteorder: Literal["<", ">"]


class TiffOptions(TiffLayout, total=False):
    """The options of tifffile that the tests use."""

    photometric: str
    planarconfig: str
    extrasamples: Sequence[str]
    colormap: NDArray[np.uint16]
    volumetric: bool
    tile: tuple[int, int]
    rowsperstrip: int
    compression: str | None
    predictor: bool
    iccprofile: bytes
    description: str
    extratags: Sequence[tuple[int, int, int, object, bool]]


def scene(height: int = 61, width: int = 91) -> NDArray[np.uint8]:
    """An RGB uint8 picture without symmetry: no turn or mirror image of it equals it."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    y, x = y / max(height - 1, 1), x / max(width - 1, 1)
    red = 0.5 + 0.5 * np.sin(4 * x + y)
    green = 0.2 + 0.7 * y * x
    blue = 0.5 + 0.4 * np.cos(3 * y - 2 * x * x)
    return np.clip(np.stack([red, green, blue], axis=-1) * 255 + 0.5, 0, 255).astype(np.uint8)


def deep_scene(height: int = 61, width: int = 91) -> NDArray[np.uint16]:
    """As `scene`, with 16-bit levels that no 8-bit picture has."""
    noise = np.random.default_rng(1).integers(0, 257, (height, width, 3))
    levels: NDArray[np.int64] = scene(height, width).astype(np.int64) * 257 - 128 + noise
    return np.clip(levels, 0, 65535).astype(np.uint16)


def with_alpha(rgb: NDArray[Levels]) -> NDArray[Levels]:
    """RGBA with opaque, half-transparent and fully transparent parts; bright red is hidden under the last."""
    top = np.iinfo(rgb.dtype).max
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], top, rgb.dtype)])
    third = rgb.shape[0] // 3
    rgba[:third, :, 3] = 0
    rgba[:third, :, :3] = [top, 0, 0]
    rgba[third : 2 * third, :, 3] = top // 2
    return rgba


def pillow_file(image: Image.Image | NDArray[np.generic], kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def tiff_file(array: NDArray[np.generic], **options: Unpack[TiffOptions]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def written(source: PictureSource, kind: str, **options: Unpack[WriteOptions]) -> bytes:
    """The bytes that write_picture makes."""
    stream = io.BytesIO()
    write_picture(as_picture(source), stream, format=kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_file(
    width: int, height: int, depth: int, colour_type: int, scanlines: bytes, chunks: bytes = b"", interlace: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlace)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            chunks,
            png_chunk(b"IDAT", zlib.compress(scanlines)),
            png_chunk(b"IEND", b""),
        ]
    )


def bmp_file(
    pixels: NDArray[np.uint32],
    masks: tuple[int, ...],
    *,
    depth: int = 32,
    header: Literal[40, 56, 108, 124] = 124,
    compression: int = 3,
    space: bytes = b"BGRs",
    calibration: bytes = bytes(48),
    profile: bytes = b"",
    top_down: bool = False,
) -> bytes:
    """A BMP of bit fields, its pixels (H, W) packed already.

    `space` and `calibration` are as Windows' headers of versions 4 and 5 have them: LCS_sRGB without.
    """
    height, width = pixels.shape
    rows = pixels if top_down else pixels[::-1]
    stride = (width * depth // 8 + 3) // 4 * 4
    body = b"".join(row.astype(f"<u{depth // 8}").tobytes().ljust(stride, b"\0") for row in rows)
    start = struct.pack(
        "<IiiHHIIiiII", header, width, -height if top_down else height, 1, depth, compression, 0, 3000, 3000, 0, 0
    )
    fields = struct.pack(f"<{len(masks)}I", *masks)
    rest = space + calibration + struct.pack("<IIII", 4, header + len(body), len(profile), 0)
    start += (fields.ljust(16, b"\0") + rest)[: header - 40] if header > 40 else fields
    at = 14 + len(start)
    return b"BM" + struct.pack("<IHHI", at + len(body) + len(profile), 0, 0, at) + start + body + profile


def icon_file(*pictures: tuple[int, int, bytes], kind: int = 1) -> bytes:
    at, entries = 6 + 16 * len(pictures), b""
    for width, height, data in pictures:
        entries += struct.pack("<BBBBHHII", width % 256, height % 256, 0, 0, 3, 5, len(data), at)
        at += len(data)
    return struct.pack("<HHH", 0, kind, len(pictures)) + entries + b"".join(data for _, _, data in pictures)


def icon_bmp(image: Image.Image, mask: NDArray[np.bool_]) -> bytes:
    """An icon's BMP: no file header, twice the height, and behind the pixels a bit for each of them."""
    data = bytearray(pillow_file(image, "BMP")[14:])
    data[8:12] = struct.pack("<i", 2 * image.height)
    rows = np.packbits(mask[::-1], axis=1)
    return bytes(data) + b"".join(row.tobytes().ljust((image.width + 31) // 32 * 4, b"\0") for row in rows)


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


@functools.cache  # the time of creation
def adobe_rgb() -> bytes:
    profile: bytes = imagecodecs.cms_profile("adobergb")
    return profile


def icc_profile(primaries: Primaries, curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> bytes:
    """An RGB matrix profile made by hand (ICC.1:2022, sections 8.3 and 10): D65, a curve of 1,024 points for all."""

    def s15(values: NDArray[np.float64]) -> bytes:
        return b"".join(round(v * 65536).to_bytes(4, "big", signed=True) for v in values)

    d50 = np.array([0.9642, 1.0, 0.8249])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    matrix = _to_xyz(primaries)
    gains = np.diag((bradford @ d50) / (bradford @ matrix.sum(axis=1)))
    adapted = np.linalg.inv(bradford) @ gains @ bradford @ matrix
    points = (curve(np.linspace(0, 1, 1024)) * 65535).round().astype(">u2").tobytes()
    tags = [(b"desc", b"desc\0\0\0\0\0\0\0\2a\0".ljust(92, b"\0")), (b"wtpt", b"XYZ \0\0\0\0" + s15(d50))]
    tags += [(name, b"XYZ \0\0\0\0" + s15(adapted[:, i])) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
    tags += [(name, b"curv\0\0\0\0" + (1024).to_bytes(4, "big") + points) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        table += name + (at + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    size = at + len(body)
    header = size.to_bytes(4, "big") + b"\0\0\0\0\x02\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + s15(d50)
    return header.ljust(128, b"\0") + len(tags).to_bytes(4, "big") + table + body


P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]


def srgb_curve(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encoded sRGB to linear light, IEC 61966-2-1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def p3_to_srgb(values: ArrayLike) -> NDArray[np.float64]:
    """Display P3 in [0, 1] to sRGB, in closed form; clipped."""
    srgb = _to_xyz([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)])
    linear = np.clip(srgb_curve(np.asarray(values, np.float64)) @ (np.linalg.inv(srgb) @ _to_xyz(P3)).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def adobe_to_srgb(values: ArrayLike) -> NDArray[np.float64]:
    """Adobe RGB in [0, 1] to sRGB, in closed form from the two standards; clipped."""
    linear = np.asarray(values, np.float64) ** (563 / 256)
    adobe = _to_xyz([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)])
    srgb = _to_xyz([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)])
    linear = np.clip(linear @ (np.linalg.inv(srgb) @ adobe).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _to_xyz(primaries: Primaries) -> NDArray[np.float64]:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def psnr(a: ArrayLike, b: ArrayLike) -> float:
    error = np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def every_format() -> dict[str, bytes]:
    """One whole file of each kind that is read, keyed by a name."""
    rgb, deep = scene(), deep_scene()
    image = Image.fromarray(rgb)
    frames = [image.quantize(64), Image.fromarray(255 - rgb).quantize(64)]
    return {
        "png": written(rgb, "png"),
        "png alpha": written(with_alpha(rgb), "png"),
        "png 16": written(deep, "png", bits=16),
        "png palette": pillow_file(image.quantize(64), "PNG"),
        "jpeg": written(rgb, "jpeg"),
        "jpeg progressive": pillow_file(image, "JPEG", progressive=True),
        "jpeg cmyk": pillow_file(image.convert("CMYK"), "JPEG"),
        "webp": written(rgb, "webp"),
        "webp lossless": written(with_alpha(rgb), "webp", quality=100),
        "avif": written(rgb, "avif"),
        "tiff": written(rgb, "tiff"),
        "tiff 16": written(deep, "tiff", bits=16),
        "tiff raw": pillow_file(image, "TIFF"),
        "tiff lzw": pillow_file(image, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": pillow_file(image, "TIFF", compression="jpeg"),
        "tiff ycbcr": pillow_file(image.convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        "tiff fax": pillow_file(image.convert("1"), "TIFF", compression="group4"),
        "tiff tiled": tiff_file(rgb, photometric="rgb", tile=(32, 32), compression="zstd"),
        "bmp": pillow_file(image, "BMP"),
        "gif": pillow_file(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "ppm": pillow_file(image, "PPM"),
        "ppm 16": b"P6 91 61 65535\n" + deep.astype(">u2").tobytes(),
        "pam": b"P7\nWIDTH 91\nHEIGHT 61\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + rgb.tobytes(),
        "pam alpha 16": b"P7\nWIDTH 91\nHEIGHT 61\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
        + with_alpha(deep).astype(">u2").tobytes(),
        "bmp bit fields": bmp_file(_packed(rgb, 5, 6, 5), (0xF800, 0x07E0, 0x001F), depth=16, header=40),
        "bmp bit fields alpha": bmp_file(
            _packed(rgb, 8, 8, 8) | np.uint32(0x80000000), (0xFF0000, 0x00FF00, 0x0000FF, 0xFF000000), header=124
        ),
        "ico png": icon_file((91, 61, pillow_file(image, "PNG"))),
        "ico bmp": icon_file((91, 61, icon_bmp(image, np.zeros((61, 91), bool)))),
        "pgm plain": b"P2\n3 2\n255\n0 10 20\n30 40 250\n",
    }


def _packed(rgb: NDArray[np.uint8], *bits: int) -> NDArray[np.uint32]:
    """Return (H, W) numbers that hold as many bits of red, green and blue, red in the highest."""
    packed = np.zeros(rgb.shape[:2], np.uint32)
    for channel, count in zip(np.moveaxis(rgb, -1, 0), bits, strict=True):
        packed = packed << count | channel >> (8 - count)
    return packed


def let_everybody_in(folder: Path) -> None:
    """Open pytest's temporary folders, which only their owner may enter."""
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(each.stat().st_mode | 0o055)


def run(code: str, *arguments: Any) -> tuple[str, str]:
    """Run code in a program of its own and return what it prints, (stdout, stderr)."""
    lines = "import os, sys\nimport imagecodecs, tifffile\nfrom PIL import PngImagePlugin\n"
    lines += (
        "from impasto.errors import OutputError, PictureError\nfrom impasto.picture import check_output, read_picture\n"
    )
    command = [sys.executable, "-c", lines + textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def as_nobody(code: str, *arguments: Any) -> str:
    """Run code as somebody whom permissions apply to, as they do not to root, and return what it prints."""
    # Everything is imported before, since without root's rights the packages may not be readable.
    drop = "if os.getuid() == 0:\n    os.setgroups([])\n    os.setgid(65534)\n    os.setuid(65534)\n"
    return run(drop + textwrap.dedent(code), *arguments)[0]
