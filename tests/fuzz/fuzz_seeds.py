"""Small undamaged files of every kind that impasto reads, for `fuzz_mutations` to damage."""

import io
import itertools
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from impasto.picture import Picture, write_picture
from impasto.picture.metadata import Credits, exif_block
from impasto.recipe import presets
from impasto.recipe.provenance import Input, Remembered
from tests.picture import samples

HEIGHT, WIDTH = 24, 40
RGB = samples.scene(HEIGHT, WIDTH)
DEEP = samples.deep_scene(HEIGHT, WIDTH)
RGBA = samples.with_alpha(RGB)
IMAGE = Image.fromarray(RGB)


def painted() -> Picture:
    """A picture with all metadata that a file can have."""
    told = Remembered(
        recipe=presets.get("default"),
        content=Input("photo.jpg", "a" * 64),
        styles=(Input("one.jpg", "b" * 64, 0.5), Input("two.jpg", "c" * 64, 0.5)),
        init=None,
        size=(WIDTH, HEIGHT),
        finished=True,
        version="0.1.0",
    )
    credit = Credits(artist="Ann", copyright="(c) Ann", description="a cat", taken="2024:01:02 03:04:05")
    pixels = np.moveaxis(RGB.astype(np.float32) / np.float32(255), -1, 0)
    return Picture(pixels, dpi=(300, 300), credits=credit, remembered=told)


def _saved(picture: Picture, kind: str) -> bytes:
    stream = io.BytesIO()
    write_picture(picture, stream, format=kind)
    return stream.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Ann"
    exif.get_ifd(0x8769)[0x9003] = "2024:01:02 03:04:05"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0xA005)[1] = "R03"
    return exif.tobytes()


def png() -> list[bytes]:
    palette = IMAGE.quantize(16)
    lines = bytes(itertools.chain.from_iterable(b"\0" + row.tobytes() for row in DEEP.astype(">u2")))
    gray = b"".join(b"\0" + bytes(5) for _ in range(8))
    return [
        _saved(painted(), "png"),
        samples.written(RGBA, "png"),
        samples.written(DEEP, "png", bits=16),
        samples.pillow_file(palette, "PNG", transparency=3, optimize=True),
        samples.pillow_file(IMAGE.convert("1"), "PNG"),
        samples.pillow_file(IMAGE.convert("L"), "PNG", icc_profile=samples.adobe_rgb(), exif=_exif()),
        samples.png_file(WIDTH, HEIGHT, 16, 2, lines, samples.png_chunk(b"gAMA", struct.pack(">I", 30000))),
        samples.png_file(8, 8, 4, 0, gray, samples.png_chunk(b"tRNS", b"\0\3")),
        samples.png_file(8, 8, 16, 0, bytes(300), interlace=1),
        samples.png_file(8, 8, 8, 6, bytes(600), interlace=1),
    ]


def jpeg() -> list[bytes]:
    return [
        _saved(painted(), "jpeg"),
        samples.pillow_file(IMAGE, "JPEG", progressive=True, icc_profile=samples.adobe_rgb()),
        samples.pillow_file(IMAGE, "JPEG", quality=70, subsampling=2, restart_marker_rows=1, exif=_exif()),
        samples.pillow_file(IMAGE.convert("CMYK"), "JPEG"),
        samples.pillow_file(IMAGE.convert("L"), "JPEG", optimize=True),
    ]


def webp() -> list[bytes]:
    frames = [Image.fromarray(255 - RGB)]
    return [
        _saved(painted(), "webp"),
        samples.pillow_file(IMAGE, "WEBP", quality=60),
        samples.written(RGBA, "webp", quality=100),
        samples.pillow_file(Image.fromarray(RGBA), "WEBP", quality=50, exif=_exif()),
        samples.pillow_file(IMAGE, "WEBP", save_all=True, append_images=frames),
    ]


def _tiffs() -> list[bytes]:
    files = []
    for compression, bits, planar in itertools.product(
        (None, "zlib", "lzw", "packbits", "zstd", "lzma"), (8, 16), ("contig", "separate")
    ):
        array = RGB if bits == 8 else DEEP
        array = np.moveaxis(array, -1, 0) if planar == "separate" else array
        files.append(
            samples.tiff_file(
                np.ascontiguousarray(array), photometric="rgb", planarconfig=planar, compression=compression,
                predictor=compression in ("zlib", "lzw", "zstd"), rowsperstrip=7,
            )
        )  # fmt: skip
    return files


def tiff() -> list[bytes]:
    gray = samples.scene(32, 32)[:, :, 0]
    return [
        *_tiffs(),
        _saved(painted(), "tiff"),
        samples.written(RGBA, "tiff", bits=16),
        samples.tiff_file(RGB, photometric="rgb", tile=(16, 16), compression="webp"),
        samples.tiff_file(RGB, photometric="rgb", tile=(16, 16), compression="jpeg"),
        samples.tiff_file((DEEP / 65535).astype(np.float32), photometric="rgb", predictor=True, compression="zlib"),
        samples.tiff_file((gray / 255).astype(np.float16), bigtiff=True),
        samples.tiff_file(np.stack([gray, gray, gray]), photometric="minisblack", byteorder=">"),
        samples.tiff_file(gray > 99),
        *(
            samples.pillow_file(IMAGE.convert(mode), "TIFF", compression=compression)
            for mode, compression in (
                ("1", "group3"), ("1", "group4"), ("1", "tiff_ccitt"), ("1", None), ("P", "tiff_lzw"), ("L", "jpeg"),
                ("CMYK", "tiff_adobe_deflate"), ("LAB", None), ("YCbCr", "tiff_lzw"), ("YCbCr", "jpeg"),
                ("RGB", "jpeg"),
            )
        ),
    ]  # fmt: skip


def bmp() -> list[bytes]:
    indices = struct.pack("<IHHI", 14 + 40 + 8 + 12, 0, 0, 14 + 40 + 8)
    runs = b"BM" + indices + struct.pack("<IiiHHIIiiII", 40, 8, 2, 1, 8, 1, 12, 0, 0, 2, 0) + bytes(4) + b"\xff" * 4
    return [
        *(samples.pillow_file(IMAGE.convert(mode), "BMP") for mode in ("RGB", "L", "1", "P")),
        samples.pillow_file(Image.fromarray(RGBA), "BMP"),
        samples.bmp_file(DEEP[:, :, 0].astype(np.uint32), (0xF00, 0xF0, 0xF, 0xF000), depth=16, header=56),
        samples.bmp_file(
            np.arange(960, dtype=np.uint32).reshape(24, 40) << np.uint32(9), (1023 << 20, 1023 << 10, 1023), header=40
        ),
        samples.bmp_file(
            DEEP[:, :, 0].astype(np.uint32), (0xFF0000, 0xFF00, 0xFF, 0), space=b"DEBM", profile=samples.adobe_rgb()
        ),
        runs + b"\x08\x01\0\0\x00\x03\1\0\1\0\0\1",
    ]


def ico() -> list[bytes]:
    mask = RGB[:, :, 0] > 200
    icons = [(WIDTH, HEIGHT, samples.icon_bmp(IMAGE.convert(mode), mask)) for mode in ("P", "RGB", "1")]
    return [
        *(samples.icon_file(each, kind=kind) for kind, each in zip((1, 2, 1), icons, strict=True)),
        samples.icon_file(icons[0], (WIDTH, HEIGHT, samples.pillow_file(IMAGE, "PNG"))),
    ]


def gif() -> list[bytes]:
    frames = [Image.fromarray(255 - RGB).quantize(64), Image.fromarray(RGB[::-1].copy()).quantize(16)]
    return [
        samples.pillow_file(IMAGE.quantize(64), "GIF", save_all=True, append_images=frames, comment=b"hello"),
        samples.pillow_file(IMAGE.quantize(16), "GIF", transparency=2),
        samples.pillow_file(IMAGE.convert("L"), "GIF", interlace=1),
    ]


def avif() -> list[bytes]:
    frames = [Image.fromarray(255 - RGB)]
    return [
        _saved(painted(), "avif"),
        samples.pillow_file(Image.fromarray(RGBA), "AVIF", exif=_exif(), icc_profile=samples.adobe_rgb()),
        samples.pillow_file(IMAGE, "AVIF", save_all=True, append_images=frames),
    ]


def pnm() -> list[bytes]:
    wide = np.packbits(RGB[:, :, 0] > 99, axis=1).tobytes()
    words = b" ".join(b"%d" % v for v in RGB.ravel())
    return [
        samples.pillow_file(IMAGE, "PPM"),
        b"P5\n# a comment\n%d %d\n255\n" % (WIDTH, HEIGHT) + RGB[:, :, 0].tobytes(),
        b"P6 %d %d 65535\n" % (WIDTH, HEIGHT) + DEEP.astype(">u2").tobytes(),
        b"P4 %d %d\n" % (WIDTH, HEIGHT) + wide,
        b"P3 %d %d 255\n" % (WIDTH, HEIGHT) + words,
        b"P1\n5 3\n1 0 1 0 1\n01010\n1 1 1 1 1\n",
        b"P2\n3 2\n1000\n0 10 20\n30 40 999\n",
        b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(12),
    ]


def heic() -> list[bytes]:
    try:
        import pillow_heif
    except ImportError:
        return []
    stream = io.BytesIO()
    file = pillow_heif.from_pillow(IMAGE)
    file.info["exif"] = _exif()
    file.save(stream, quality=50)
    other = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(RGBA)).save(other, quality=50)
    return [stream.getvalue(), other.getvalue()]


def exif() -> list[bytes]:
    """EXIF data alone; `wrapped` puts them into a picture."""
    told = json.dumps({"impasto": 1})
    return [_exif()[6:], exif_block(painted().credits, (300, 300), "text", told)[6:]]


def icc() -> list[bytes]:
    """Profiles alone; `wrapped` puts them into a picture."""
    return [samples.adobe_rgb(), samples.icc_profile(samples.P3, samples.srgb_curve)]


def document() -> list[bytes]:
    """The provenance of a picture alone; `wrapped` puts it into a picture."""
    told = painted().remembered
    assert told is not None
    return [told.to_json().encode()]


def recipe() -> list[bytes]:
    return [presets.text(name).encode() for name in presets.NAMES]


def wrapped(kind: str, data: bytes) -> bytes:
    """Put damaged metadata into an undamaged picture; other files are returned unchanged."""
    if kind == "exif":
        return samples.pillow_file(IMAGE, "PNG", exif=b"Exif\0\0" + data) if len(data) % 2 else (
            samples.pillow_file(IMAGE, "WEBP", exif=data)
        )  # fmt: skip
    if kind == "icc":
        return samples.pillow_file(IMAGE if len(data) % 3 else IMAGE.convert("L"), "JPEG", icc_profile=data)
    if kind == "document":
        return samples.pillow_file(IMAGE, "PNG")[:33] + samples.png_chunk(
            b"iTXt", b"impasto\0\0\0\0\0" + data
        ) + samples.pillow_file(IMAGE, "PNG")[33:]  # fmt: skip
    return data


def weights() -> list[bytes]:
    """Small weights in every form; needs torch."""
    import tempfile

    import torch
    from safetensors.torch import save

    from tests.vgg.weights import samples as weights_making

    made = weights_making.tensors(corner=weights_making.RGB_CORNER)
    named = weights_making.by_places(made)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        files = [save(named), save({key: value.half() for key, value in made.items()})]
        files += [weights_making.pth(path, named, legacy=legacy).read_bytes() for legacy in (False, True)]
        files.append(weights_making.h5(path, made).read_bytes())
    del torch
    return files


PICTURES = ("png", "jpeg", "webp", "tiff", "bmp", "ico", "gif", "avif", "pnm", "heic", "exif", "icc", "document")
KINDS: dict[str, Callable[[], list[bytes]]] = {
    **{name: globals()[name] for name in PICTURES},
    "profile": icc,
    "recipe": recipe,
    "weights": weights,
}
