"""Round trips: every format that is written, at every depth, with alpha, dpi and text."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from impasto.errors import OutputError, PictureError
from impasto.picture import Picture, as_picture, read_picture, write_picture
from tests.picture import samples as making

EXACT = [("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16)]
WRITTEN = ["png", "jpeg", "webp", "tiff", "avif"]


@pytest.mark.parametrize(("kind", "bits"), EXACT)
@pytest.mark.parametrize("alpha", [False, True])
def test_exact_formats_come_back_exactly(kind: str, bits: int, alpha: bool) -> None:
    array = making.scene() if bits == 8 else making.deep_scene()
    picture = as_picture(making.with_alpha(array) if alpha else array)
    back = as_picture(making.written(picture, kind, bits=bits))
    assert np.array_equal(back.pixels, picture.pixels) if not alpha else True
    assert np.array_equal(back.to_numpy(array.dtype), picture.to_numpy(array.dtype))
    assert back.bits == bits
    assert (back.alpha is not None) == alpha


def test_lossless_webp_is_exact() -> None:
    picture = as_picture(making.with_alpha(making.scene()))
    back = as_picture(making.written(picture, "webp", quality=100))
    assert np.array_equal(back.to_numpy(), picture.to_numpy())


@pytest.mark.parametrize(("kind", "least"), [("jpeg", 40), ("webp", 34), ("avif", 38)])
def test_lossy_formats_come_close(kind: str, least: int) -> None:
    rgb = making.scene()
    assert making.psnr(as_picture(making.written(rgb, kind)).to_numpy(), rgb) > least


@pytest.mark.parametrize("kind", ["webp", "avif"])
def test_lossy_formats_keep_alpha(kind: str) -> None:
    rgba = making.with_alpha(making.scene())
    back = as_picture(making.written(rgba, kind)).to_numpy()
    assert np.abs(back[:, :, 3].astype(int) - rgba[:, :, 3]).max() <= 3


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_quality_trades_size_for_looks(kind: str) -> None:
    files = [making.written(making.scene(), kind, quality=quality) for quality in (10, 60, 95)]
    assert [len(file) for file in files] == sorted(len(file) for file in files)
    likeness = [making.psnr(as_picture(file).to_numpy(), making.scene()) for file in files]
    assert likeness == sorted(likeness)


@pytest.mark.parametrize("kind", ["jpeg", "avif"])
def test_chroma_is_not_halved(kind: str) -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = [255, 0, 0]
    stripes[:, 1::2] = [0, 0, 255]
    back = as_picture(making.written(stripes, kind)).to_numpy()
    assert np.abs(back.astype(int) - stripes).mean() < 12


def test_jpeg_lays_alpha_on_white_and_says_so() -> None:
    picture = as_picture(making.with_alpha(making.scene()))
    stream = io.BytesIO()
    notes = write_picture(picture, stream, format="jpeg")
    assert len(notes) == 1
    assert "white" in notes[0]
    back = as_picture(stream.getvalue())
    assert back.alpha is None
    assert back.to_numpy()[:15].min() > 245
    half = making.scene()[25:35] * (127 / 255) + 255 * (128 / 255)
    assert np.abs(back.to_numpy()[25:35] - half).max() < 12
    assert write_picture(as_picture(making.scene()), io.BytesIO(), format="jpeg") == ()


@pytest.mark.parametrize(("kind", "bits"), EXACT)
def test_values_are_rounded_not_truncated(kind: str, bits: int) -> None:
    top = 2**bits - 1
    levels = np.array([10.4, 10.6, 99.51, top - 0.4], np.float32) / np.float32(top)
    picture = Picture(np.tile(levels, (3, 2, 1)).astype(np.float32))
    back = as_picture(making.written(picture, kind, bits=bits)).to_numpy(np.uint8 if bits == 8 else np.uint16)
    assert back[0, :, 0].tolist() == [10, 11, 100, top]


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_a_16_bit_ramp_keeps_all_its_levels(kind: str) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    back = as_picture(making.written(np.dstack([ramp, ramp[::-1], ramp.T]), kind, bits=16))
    assert np.unique(back.pixels[0]).size == 65536
    assert np.array_equal(back.to_numpy(np.uint16)[:, :, 0], ramp)


@pytest.mark.parametrize("kind", WRITTEN)
def test_an_srgb_profile_is_embedded(kind: str) -> None:
    image = Image.open(io.BytesIO(making.written(making.scene(), kind)))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert as_picture(image).icc_profile == image.info["icc_profile"]


@pytest.mark.parametrize("kind", WRITTEN)
def test_equal_pictures_give_equal_files(kind: str) -> None:
    assert making.written(making.scene(), kind) == making.written(making.scene(), kind)


@pytest.mark.parametrize("kind", WRITTEN)
def test_dpi_is_kept(kind: str) -> None:
    picture = dataclasses.replace(as_picture(making.scene()), dpi=(300.0, 150.0))
    back = as_picture(making.written(picture, kind))
    assert back.dpi == pytest.approx((300, 150), rel=1e-3)
    assert as_picture(making.written(making.scene(), kind)).dpi is None


def test_text_is_kept() -> None:
    text = {"impasto": 'style = "Caf\u00e9"\n[x]', "Title": "\u65e5\u672c"}
    rgb = making.scene()
    png = Image.open(io.BytesIO(making.written(rgb, "png", text=text)))
    assert isinstance(png, PngImagePlugin.PngImageFile)
    assert {**png.text} == text
    for kind in ("jpeg", "webp", "avif"):
        image = Image.open(io.BytesIO(making.written(rgb, kind, text=text)))
        assert json.loads(image.getexif()[0x010E]) == text
    with tifffile.TiffFile(io.BytesIO(making.written(rgb, "tiff", text=text))) as file:
        assert json.loads(file.pages.first.description) == text


@pytest.mark.parametrize("kind", WRITTEN)
def test_text_changes_no_pixel(kind: str) -> None:
    plain, told = (making.written(making.scene(), kind, text=text) for text in (None, {"a": "b" * 5000}))
    assert np.array_equal(as_picture(plain).pixels, as_picture(told).pixels)


def test_text_too_long_for_a_jpeg_is_left_out_with_a_note() -> None:
    notes = write_picture(as_picture(making.scene()), io.BytesIO(), format="jpeg", text={"a": "b" * 70_000})
    assert len(notes) == 1
    assert "left out" in notes[0]
    assert write_picture(as_picture(making.scene()), io.BytesIO(), format="png", text={"a": "b" * 70_000}) == ()


@pytest.mark.parametrize(
    "text", [{"": "a"}, {"a" * 80: "b"}, {"a\nb": "c"}, {"\u65e5": "c"}, {"a": "b\0c"}, {"a": 3}, {3: "a"}]
)
def test_text_that_cannot_be_stored_is_refused(text: dict[object, object]) -> None:
    with pytest.raises(OutputError, match="text"):
        write_picture(as_picture(making.scene()), io.BytesIO(), format="png", text=text)  # type: ignore[arg-type]


def test_the_source_s_other_metadata_are_not_written() -> None:
    data = Image.Exif()
    data[0x0131] = "SecretProgram"
    data.get_ifd(0x8825)[1] = "N"
    data.get_ifd(0x8769)[0x927C] = b"secret notes of the maker"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>secret place</x:xmpmeta>"
    source = making.pillow_file(making.scene(), "JPEG", exif=data.tobytes(), comment=b"secret comment", xmp=xmp)
    for secret in (b"SecretProgram", b"secret notes", b"secret comment", b"secret place"):
        assert secret in source
    for kind in WRITTEN:
        out = making.written(source, kind)
        assert b"ecret" not in out
        assert 0x8825 not in Image.open(io.BytesIO(out)).getexif()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "jpeg", "bits": 16}, "8 bits"),
        ({"format": "webp", "bits": 16}, "8 bits"),
        ({"format": "avif", "bits": 16}, "8 bits"),
        ({"format": "png", "bits": 12}, "expected 8 or 16"),
        ({"format": "png", "quality": 90}, "no quality"),
        ({"format": "tiff", "quality": 90}, "no quality"),
        ({"format": "jpeg", "quality": 0}, "1 to 100"),
        ({"format": "jpeg", "quality": 101}, "1 to 100"),
        ({"format": "jpeg", "quality": 9.5}, "1 to 100"),
        ({"format": "jpg"}, "did you mean 'jpeg'"),
        ({}, "pass format="),
    ],
)
def test_options_the_format_lacks_are_refused(options: dict[str, object], words: str) -> None:
    stream = io.BytesIO()
    with pytest.raises(OutputError, match=words):
        write_picture(as_picture(making.scene()), stream, **options)  # type: ignore[arg-type]
    assert stream.getvalue() == b""


@pytest.mark.parametrize(("kind", "side"), [("webp", 16_384), ("jpeg", 65_501), ("avif", 32_769)])
def test_a_picture_larger_than_the_format_is_refused(kind: str, side: int) -> None:
    with pytest.raises(PictureError, match=r"\.png or \.tif"):
        making.written(np.zeros((1, side), np.uint8), kind)


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (5000, 3)])
@pytest.mark.parametrize("kind", WRITTEN)
def test_tiny_and_long_pictures(kind: str, size: tuple[int, int]) -> None:
    rgb = making.scene(*size)
    # WebP halves the resolution of chroma, which mixes rows of different colours; quality 100 is lossless.
    back = as_picture(making.written(rgb, kind, quality=100 if kind == "webp" else None))
    assert back.size == size
    assert making.psnr(back.to_numpy(), rgb) > 30


def test_a_file_that_is_not_open_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    with path.open("rb") as file, pytest.raises(PictureError, match="open for writing"):
        write_picture(as_picture(making.scene()), file, format="png")


@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif"])
def test_the_ending_names_the_format(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    as_picture(making.scene()).save(path)
    expected = {"jpg": "jpeg", "tif": "tiff"}.get(ending[1:].lower(), ending[1:].lower())
    with Image.open(path) as image:
        assert image.format is not None
        assert image.format.lower() == expected
    assert read_picture(path).size == (61, 91)
