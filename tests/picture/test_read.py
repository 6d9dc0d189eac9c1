"""Reading: every kind of pixel a file can hold, upright, with its range and levels."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from impasto.errors import PictureError
from impasto.picture import Limits, Picture, as_picture, read_picture
from impasto.picture.formats.samples import upright
from impasto.picture.profiles import IGNORED
from tests.picture import samples as making


def difference(picture: Picture, expected: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.abs(picture.to_numpy(np.uint8)[:, :, :3].astype(int) - expected)


def alpha_of(picture: Picture) -> NDArray[np.float32]:
    assert picture.alpha is not None
    return picture.alpha


READ = """
import sys
from impasto.picture import read_picture
def memory(key):
    return int(next(line for line in open("/proc/self/status") if line.startswith(key)).split()[1]) * 1024
small, large = sys.argv[1:]
read_picture(small)
# The peak begins anew: that of a process which was forked is its parent's at first.
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
picture = read_picture(large)
print((memory("VmHWM") - before) / (picture.height * picture.width))
"""


def large_file(kind: str, side: int) -> bytes:
    rgb = np.tile(making.scene(100, 100), (side // 100, side // 100, 1))
    deep = np.tile(making.deep_scene(100, 100), (side // 100, side // 100, 1))
    match kind:
        case "jpeg turned":
            exif = Image.Exif()
            exif[274] = 6
            return making.pillow_file(rgb, "JPEG", exif=exif)
        case "png alpha":
            return making.pillow_file(making.with_alpha(rgb), "PNG")
        case "png 16":
            return making.written(deep, "png", bits=16)
        case "tiff":
            return making.tiff_file(rgb, photometric="rgb")
        case "tiff adobe":
            return making.tiff_file(rgb, photometric="rgb", compression="zlib", iccprofile=making.adobe_rgb())
        case "tiff 16":
            return making.tiff_file(deep, photometric="rgb", compression="zlib")
        case _:
            return making.tiff_file(np.dstack([rgb, rgb[:, :, :1] // 4]), photometric="separated")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize(
    ("kind", "most"),
    [("jpeg turned", 20), ("png alpha", 24), ("png 16", 26), ("tiff", 20), ("tiff adobe", 22), ("tiff 16", 24),
     ("tiff cmyk", 22)],
)  # fmt: skip
def test_reading_takes_little_more_than_the_picture(kind: str, most: float, tmp_path: Path) -> None:
    for name, side in (("small", 100), ("large", 3000)):
        (tmp_path / name).write_bytes(large_file(kind, side))
    told = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / "small", tmp_path / "large"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=True, text=True,
    )  # fmt: skip
    # The picture itself takes 12 bytes a pixel, and 16 with transparency.
    assert 10 < float(told.stdout) < most


def test_a_profile_is_followed_alike_in_every_row() -> None:
    """Rows are converted in bands, of which this picture has several."""
    rgb = np.tile(making.scene(90, 100), (10, 9, 1))
    large = as_picture(making.tiff_file(rgb, photometric="rgb", iccprofile=making.adobe_rgb())).pixels
    small = as_picture(making.tiff_file(rgb[:90], photometric="rgb", iccprofile=making.adobe_rgb())).pixels
    for top in range(0, 900, 90):
        np.testing.assert_array_equal(large[:, top : top + 90], small)


def test_a_profile_that_fails_for_some_rows_is_followed_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = imagecodecs.cms_transform

    def failing(values: NDArray[Any], *arguments: Any, **options: Any) -> NDArray[Any]:
        if values[-1, -1, 0] == 7:
            raise RuntimeError("no numbers")
        return np.asarray(convert(values, *arguments, **options))

    monkeypatch.setattr(imagecodecs, "cms_transform", failing)
    rgb = np.tile(making.scene(90, 100), (10, 9, 1))
    rgb[-1, -1] = 7
    picture = as_picture(making.tiff_file(rgb, photometric="rgb", iccprofile=making.adobe_rgb()))
    assert picture.notes == (IGNORED,)
    np.testing.assert_array_equal(picture.to_numpy(np.uint8), rgb)


@pytest.mark.parametrize("kind", list(making.every_format()))
def test_every_kind_of_file(kind: str) -> None:
    picture = as_picture(making.every_format()[kind])
    assert picture.bits == (16 if kind.endswith("16") else 8)
    assert picture.pixels.flags.c_contiguous
    if kind == "pgm plain":
        assert picture.to_numpy()[:, :, 0].tolist() == [[0, 10, 20], [30, 40, 250]]
        return
    assert picture.size == (61, 91)
    if kind == "tiff fax":
        assert set(np.unique(picture.pixels)) == {0, 1}
        return
    # A palette of 64 is off by 8 on average; channels swapped or inverted are off by 50 and more.
    assert difference(picture, making.scene())[30:].mean() < 10


def test_the_format_is_told_by_the_content(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(making.written(making.scene(), "jpeg"))
    assert read_picture(path).size == (61, 91)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_orientations(kind: str, orientation: int) -> None:
    rgb = making.scene()
    # Orientations 6 and 8 undo each other; every other one undoes itself.
    stored = np.ascontiguousarray(upright(rgb, {6: 8, 8: 6}.get(orientation, orientation)))
    tags: dict[str, dict[str, object]] = {"TIFF": {"tiffinfo": {274: orientation}}}
    tag = tags.get(kind, {"exif": making.exif(orientation)})
    options: dict[str, dict[str, object]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 95},
    }
    picture = as_picture(making.pillow_file(stored, kind, **tag, **options.get(kind, {})))
    assert picture.size == (61, 91)
    assert difference(picture, rgb).max() <= {"JPEG": 12, "AVIF": 16}.get(kind, 0)


def test_turning_agrees_with_pillow() -> None:
    from PIL import ImageOps

    for orientation in range(1, 9):
        image = Image.fromarray(making.scene())
        image.getexif()[0x0112] = orientation
        assert np.array_equal(upright(making.scene(), orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_at_16_bits_turns_alpha_and_dpi_too(orientation: int) -> None:
    deep = making.with_alpha(making.deep_scene())
    chunk = making.png_chunk(b"eXIf", making.exif(orientation)[6:])
    rows = b"".join(b"\0" + row.tobytes() for row in deep.astype(">u2"))
    chunk += making.png_chunk(b"pHYs", (11811).to_bytes(4, "big") + (5906).to_bytes(4, "big") + b"\1")
    png = making.png_file(91, 61, 16, 6, rows, chunk)
    turned = (274, 3, 1, orientation, False)
    tiff = making.tiff_file(deep, photometric="rgb", extrasamples=["unassalpha"], extratags=[turned])
    expected = upright(as_picture(deep).to_numpy(np.uint16), orientation)
    assert np.array_equal(as_picture(png).to_numpy(np.uint16), expected)
    assert np.array_equal(as_picture(tiff).to_numpy(np.uint16), expected)
    dpi = (150, 300) if orientation == 6 else (300, 150)
    assert as_picture(png).dpi == pytest.approx(dpi, rel=1e-3)


def test_damaged_or_absurd_exif_does_no_harm() -> None:
    for exif in (b"Exif\0\0garbage", making.exif(9), making.exif(0), b"Exif\0\0II*\0\xff\xff\xff\xff"):
        picture = as_picture(making.pillow_file(making.scene(), "PNG", exif=exif))
        assert np.array_equal(picture.to_numpy(), making.scene())


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_levels_and_does_not_clip(kind: str) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = as_picture(making.pillow_file(ramp, kind))
    assert picture.bits == 16
    assert np.array_equal(picture.to_numpy(np.uint16), np.dstack([ramp] * 3))


def interlaced(array: NDArray[np.uint16]) -> bytes:
    """PNG scan lines of the seven passes (PNG, third edition, 8.1)."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = [array[top::down, left::across] for left, top, across, down in passes]
    return b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)


@pytest.mark.parametrize("size", [(61, 91), (1, 1), (2, 3), (5, 1)])
def test_interlaced_16_bit_png(size: tuple[int, int], capfd: pytest.CaptureFixture[str]) -> None:
    deep = making.deep_scene(*size)
    png = making.png_file(size[1], size[0], 16, 2, interlaced(deep.astype(">u2")), interlace=1)
    assert np.array_equal(as_picture(png).to_numpy(np.uint16), deep)
    assert capfd.readouterr() == ("", "")


def test_png_colour_keys() -> None:
    deep = np.array([[1, 60000, 300]], ">u2")
    keyed = making.png_file(3, 1, 16, 0, b"\0" + deep.tobytes(), making.png_chunk(b"tRNS", b"\xea\x60"))
    assert as_picture(keyed).to_numpy(np.uint16)[0, :, 3].tolist() == [65535, 0, 65535]
    rgb = np.array([[1, 2, 3, 60000, 5, 6]], ">u2")
    keyed = making.png_file(2, 1, 16, 2, b"\0" + rgb.tobytes(), making.png_chunk(b"tRNS", rgb[:, 3:].tobytes()))
    assert as_picture(keyed).to_numpy(np.uint16)[0].tolist() == [[1, 2, 3, 65535], [1, 2, 3, 0]]
    keyed = making.png_file(4, 1, 4, 0, b"\0\x12\x53", making.png_chunk(b"tRNS", b"\0\5"))
    assert alpha_of(as_picture(keyed)).tolist() == [[1, 1, 0, 1]]
    keyed = making.png_file(2, 1, 8, 2, b"\0\1\2\3\4\5\6", making.png_chunk(b"tRNS", b"\0\4\0\5\0\6"))
    assert alpha_of(as_picture(keyed)).tolist() == [[1, 0]]
    keyed = making.png_file(2, 1, 1, 0, b"\0\x40", making.png_chunk(b"tRNS", b"\0\1"))
    assert alpha_of(as_picture(keyed)).tolist() == [[1, 0]]


def test_palette_with_transparency() -> None:
    table = making.png_chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]))
    keyed = making.png_file(3, 1, 8, 3, b"\0\0\1\2", table + making.png_chunk(b"tRNS", b"\x00\x80"))
    result = as_picture(keyed).to_numpy()
    assert result[0, :, 3].tolist() == [0, 128, 255]
    assert result[0, 1:, :3].tolist() == [[0, 255, 0], [0, 0, 255]]
    image = Image.fromarray(making.scene()).quantize(16)
    transparent = np.asarray(image) == 7
    picture = as_picture(making.pillow_file(image, "GIF", transparency=7))
    assert np.array_equal(picture.alpha == 0, transparent)


def test_grey_with_alpha() -> None:
    la = np.dstack([making.scene()[:, :, 0], making.with_alpha(making.scene())[:, :, 3]])
    for kind in ("PNG", "TIFF"):
        result = as_picture(making.pillow_file(Image.fromarray(la, "LA"), kind)).to_numpy()
        assert np.array_equal(result[:, :, 3], la[:, :, 1])
        assert np.array_equal(result[30:, :, 1], la[30:, :, 0])
    deep = making.deep_scene()[:, :, :2]
    png = making.png_file(91, 61, 16, 4, b"".join(b"\0" + row.tobytes() for row in deep.astype(">u2")))
    assert np.array_equal(as_picture(png).to_numpy(np.uint16)[:, :, [0, 3]], deep)


def test_transparent_red_does_not_turn_the_picture_red() -> None:
    blue = np.zeros((20, 20, 4), np.uint8)
    blue[:, :] = [20, 40, 200, 255]
    blue[5:15, 5:15] = [255, 0, 0, 0]
    for kind in ("PNG", "WEBP", "TIFF"):
        picture = as_picture(
            making.pillow_file(blue, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        )
        assert alpha_of(picture).min() == 0
        assert np.abs(picture.to_numpy()[:, :, :3].astype(int) - [20, 40, 200]).max() <= 1
    invisible = as_picture(np.full((3, 3, 4), [255, 0, 0, 0], np.uint8))
    assert np.all(invisible.pixels == 0.5)


def test_alpha_that_says_nothing_is_dropped() -> None:
    opaque = np.dstack([making.scene(), np.full((61, 91), 255, np.uint8)])
    assert as_picture(making.pillow_file(opaque, "PNG")).alpha is None


@pytest.mark.parametrize("deep", [False, True])
def test_premultiplied_tiff(deep: bool) -> None:
    rgba: NDArray[np.uint8] | NDArray[np.uint16]
    rgba = making.with_alpha(making.deep_scene()) if deep else making.with_alpha(making.scene())
    top = np.iinfo(rgba.dtype).max
    stored = rgba.copy()
    stored[:, :, :3] = np.round(rgba[:, :, :3] * (rgba[:, :, 3:] / top))
    picture = as_picture(making.tiff_file(stored, photometric="rgb", extrasamples=["assocalpha"]))
    seen = rgba[:, :, 3] > 0
    assert np.array_equal(picture.to_numpy(rgba.dtype)[:, :, 3], rgba[:, :, 3])
    assert np.abs(picture.to_numpy(np.float32)[seen][:, :3] - rgba[seen][:, :3] / top).max() < 1.1 / top


def test_tiff_masks_are_not_alpha() -> None:
    stored = np.dstack([making.scene(), np.zeros((61, 91), np.uint8)])
    picture = as_picture(making.tiff_file(stored, photometric="rgb", extrasamples=["unspecified"]))
    assert picture.alpha is None
    assert np.array_equal(picture.to_numpy(), making.scene())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_tiff(dtype: type[np.float16] | type[np.float32] | type[np.float64]) -> None:
    values = (making.deep_scene() / 65535).astype(dtype)
    picture = as_picture(making.tiff_file(values, photometric="rgb"))
    assert (picture.bits, picture.notes) == (16, ())
    assert np.array_equal(picture.to_numpy(np.float32), values.astype(np.float32))


def test_float_tiff_out_of_range() -> None:
    values = making.scene().astype(np.float32) / 255
    values[0, 0, 0], values[0, 1, 0] = 1.5, -0.5
    picture = as_picture(making.tiff_file(values, photometric="rgb"))
    assert "clipped" in picture.notes[0]
    assert picture.to_numpy()[0, :2, 0].tolist() == [255, 0]
    for bad, words in ((making.scene().astype(np.float32) + 2, "expected"), (values * np.nan, "NaN")):
        with pytest.raises(PictureError, match=words):
            as_picture(making.tiff_file(bad, photometric="rgb"))


@pytest.mark.parametrize("bits", [2, 4, 12, 32])
def test_tiff_of_unusual_depth(bits: int) -> None:
    # Packed by hand: tifffile writes whole bytes only. 12 bits: two samples in three bytes.
    ramp = np.arange(16, dtype=np.uint32) * ((2**bits - 1) // 15) if bits > 2 else np.arange(16, dtype=np.uint32) % 4
    packed = "".join(format(int(value), f"0{bits}b") for value in ramp)
    data = bytes(int(packed[at : at + 8], 2) for at in range(0, len(packed), 8))
    entries = [(256, 4, 16), (257, 4, 1), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    entries += [(278, 4, 1), (279, 4, len(data))]
    head = b"MM\0*\0\0\0\x08" + len(entries).to_bytes(2, "big")
    for code, kind, value in entries:
        field = value.to_bytes(4, "big") if kind == 4 else value.to_bytes(2, "big") + b"\0\0"
        head += code.to_bytes(2, "big") + kind.to_bytes(2, "big") + b"\0\0\0\1" + field
    picture = as_picture((head + b"\0\0\0\0").ljust(200, b"\0") + data)
    assert np.allclose(picture.pixels[0, 0], ramp / (2.0**bits - 1))
    assert picture.bits == (8 if bits < 8 else 16)


def test_tiff_layouts() -> None:
    rgb, deep = making.scene(), making.deep_scene()
    planes = np.ascontiguousarray(np.moveaxis(deep, -1, 0))
    same = [
        making.tiff_file(planes, photometric="rgb", planarconfig="separate"),
        making.tiff_file(deep, photometric="rgb", byteorder=">", bigtiff=True),
        making.tiff_file(deep, photometric="rgb", tile=(32, 48), compression="lzw", predictor=True),
        making.tiff_file(deep, photometric="rgb", rowsperstrip=7, compression="deflate"),
    ]
    for data in same:
        assert np.array_equal(as_picture(data).to_numpy(np.uint16), deep)
    inverted = making.tiff_file(~rgb[:, :, 0], photometric="miniswhite")
    assert np.array_equal(as_picture(inverted).to_numpy()[:, :, 0], rgb[:, :, 0])
    table = np.random.default_rng(0).integers(0, 65536, (3, 256), dtype=np.uint16)
    palette = making.tiff_file(rgb[:, :, 0], photometric="palette", colormap=table)
    assert np.array_equal(as_picture(palette).to_numpy(np.uint16), table.T[rgb[:, :, 0]])


@pytest.mark.parametrize("kind", ["raw", "tiff_lzw", "jpeg"])
def test_ycbcr_tiff(kind: str) -> None:
    rgb = making.scene()
    data = making.pillow_file(Image.fromarray(rgb).convert("YCbCr"), "TIFF", compression=kind)
    assert difference(as_picture(data), rgb).mean() < (2 if kind == "jpeg" else 1.2)


@pytest.mark.parametrize("size", [(60, 90), (61, 91)])
def test_subsampled_ycbcr_tiff(size: tuple[int, int]) -> None:
    rgb = making.scene(*size)
    ycbcr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    padded = np.pad(ycbcr, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
    rows, columns = padded.shape[0] // 2, padded.shape[1] // 2
    squares = padded.reshape(rows, 2, columns, 2, 3)
    luma = squares[..., 0].swapaxes(1, 2).reshape(rows, columns, 4)
    chroma = squares[..., 1:].mean(axis=(1, 3)).round().astype(np.uint8)
    data = np.concatenate([luma, chroma], axis=2).tobytes()
    entries = [(256, size[1]), (257, size[0]), (258, 8), (259, 1), (262, 6), (273, 200), (277, 3), (278, size[0])]
    entries += [(279, len(data))]
    head = b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little")
    for code, value in entries:
        head += code.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
    picture = as_picture((head + b"\0\0\0\0").ljust(200, b"\0") + data)
    assert picture.size == size
    assert difference(picture, rgb).mean() < 2


@pytest.mark.parametrize("kind", ["cielab 8", "cielab 16", "icclab 8", "icclab 16"])
def test_lab_tiff(kind: str) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(making.scene()), srgb, lab, outputMode="LAB")
    stored = np.asarray(image)
    light, opponent = stored[:, :, :1] / 255, stored[:, :, 1:].view(np.int8).astype(int)
    if kind == "cielab 8":
        array = stored
    elif kind == "cielab 16":
        array = np.dstack([np.round(light * 65535), (opponent * 256) & 0xFFFF]).astype(np.uint16)
    elif kind == "icclab 8":
        array = np.dstack([np.round(light * 255), opponent + 128]).astype(np.uint8)
    else:
        array = np.dstack([np.round(light * 65280), (opponent + 128) * 256]).astype(np.uint16)
    picture = as_picture(making.tiff_file(array, photometric=kind.split()[0]))
    assert picture.bits == int(kind.split()[1])
    assert difference(picture, making.scene()).mean() < 1


def test_cmyk_without_a_profile() -> None:
    rgb = making.scene()
    image = Image.fromarray(rgb).convert("CMYK")
    for data in (
        making.pillow_file(image, "JPEG", quality=95, subsampling=0),
        making.pillow_file(image, "TIFF"),
        making.tiff_file(np.asarray(image).astype(np.uint16) * 257, photometric="separated"),
    ):
        picture = as_picture(data)
        assert difference(picture, rgb).mean() < 2
        assert "CMYK" in picture.notes[0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_animations_give_their_first_frame_and_a_note(kind: str) -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (40, 130, 220)]
    picture = as_picture(making.pillow_file(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(picture.to_numpy().astype(int) - 40).max() <= 3
    assert len(picture.notes) == 1
    assert "first frame" in picture.notes[0]
    assert as_picture(making.pillow_file(frames[0], kind)).notes == ()


def test_tiffs_of_several_pages_give_the_first_and_a_note() -> None:
    pages = np.stack([making.scene(), 255 - making.scene()])
    picture = as_picture(making.tiff_file(pages, photometric="rgb"))
    assert np.array_equal(picture.to_numpy(), making.scene())
    assert "pages" in picture.notes[0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P1\n# a comment\n3 2\n010\n1 1 1", [[255, 0, 255], [0, 0, 0]]),
        (b"P4\n3 2\n\x40\xe0", [[255, 0, 255], [0, 0, 0]]),
        (b"P2 3 1 # so\n#and so\n 15\n0 5 15", [[0, 85, 255]]),
        (b"P5 3 1 255\n\x00\x0a\x20", [[0, 10, 32]]),
        (b"P5\t2 1\r3\n\x00\x02", [[0, 170]]),
        (b"P2 2 1 65535 0 65535", [[0, 255]]),
    ],
)
def test_pnm(data: bytes, expected: list[list[int]]) -> None:
    assert as_picture(data).to_numpy()[:, :, 1].tolist() == expected


@pytest.mark.parametrize("top", [1, 1000, 4095, 65535])
def test_pnm_of_any_range(top: int) -> None:
    ramp = np.linspace(0, top, 30).round().astype(np.uint16).reshape(1, 10, 3)
    raw = b"P6 10 1 %d\n" % top + ramp.astype(">u2" if top > 255 else "u1").tobytes()
    plain = b"P3 10 1 %d\n" % top + b" ".join(b"%d" % value for value in ramp.ravel())
    for data in (raw, plain):
        picture = as_picture(data)
        assert np.allclose(picture.to_numpy(np.float32), ramp / top, atol=1e-7)
        assert picture.bits == (16 if top > 255 else 8)


def test_streams(tmp_path: Path) -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            return super().read(min(size, 100))

    data = making.written(making.scene(), "png")
    assert np.array_equal(read_picture(Trickle(data)).to_numpy(), making.scene())
    with pytest.raises(PictureError, match="binary mode"):
        read_picture(io.StringIO("text"))  # type: ignore[arg-type]
    for other in (b"a.png", None, object()):
        with pytest.raises(PictureError, match="cannot be read"):
            read_picture(other)  # type: ignore[arg-type]
    closed = io.BytesIO(data)
    closed.close()
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(closed)
    with pytest.raises(PictureError, match="over the limit of 100 bytes"):
        read_picture(io.BytesIO(data), limits=Limits(max_file_bytes=100))


def test_nothing_is_printed_or_warned(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    for data in making.every_format().values():
        as_picture(data)
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0
