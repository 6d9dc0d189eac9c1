"""Colour profiles: the conversion to sRGB, at 8 and 16 bits, against the closed form."""

import io
import zlib

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from impasto.picture import as_picture
from impasto.picture.profiles import adobe_rgb_profile, srgb_profile
from tests.picture import samples as making


def grid(dtype: type[making.Levels]) -> NDArray[making.Levels]:
    """All combinations of 12 levels a channel, as (12, 144, 3)."""
    levels = np.linspace(0, np.iinfo(dtype).max, 12).round().astype(dtype)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(12, 144, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_8_bit_adobe_rgb(kind: str) -> None:
    options: dict[str, dict[str, object]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100},
    }
    data = making.pillow_file(grid(np.uint8), kind, icc_profile=making.adobe_rgb(), **options.get(kind, {}))
    picture = as_picture(data)
    assert picture.icc_profile == making.adobe_rgb()
    error = np.abs(picture.to_numpy(np.float32) - making.adobe_to_srgb(grid(np.uint8) / 255))
    # The tolerance for lossy formats is that of their coding, not of the conversion.
    if kind in ("JPEG", "AVIF"):
        assert error.mean() < 0.03
    else:
        assert error.max() < 0.0018


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bit_adobe_rgb(kind: str) -> None:
    deep = grid(np.uint16)
    if kind == "tiff":
        data = making.tiff_file(deep, photometric="rgb", iccprofile=making.adobe_rgb())
    else:
        rows = b"".join(b"\0" + row.tobytes() for row in deep.astype(">u2"))
        chunk = making.png_chunk(b"iCCP", b"a\0\0" + zlib.compress(making.adobe_rgb()))
        data = making.png_file(144, 12, 16, 2, rows, chunk)
    picture = as_picture(data)
    assert picture.bits == 16
    assert np.abs(picture.to_numpy(np.float32) - making.adobe_to_srgb(deep / 65535)).max() < 0.0006


def test_16_bit_levels_survive_a_profile() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = making.tiff_file(np.dstack([ramp] * 3), photometric="rgb", iccprofile=making.adobe_rgb())
    # Adobe RGB's curve is flatter than sRGB's in places, so a few neighbouring levels may become equal.
    assert np.unique(as_picture(data).pixels[1]).size > 60_000


def test_float_tiff_follows_its_profile() -> None:
    values = grid(np.uint16).astype(np.float32) / 65535
    picture = as_picture(making.tiff_file(values, photometric="rgb", iccprofile=making.adobe_rgb()))
    assert np.abs(picture.to_numpy(np.float32) - making.adobe_to_srgb(values)).max() < 0.0006


def test_srgb_by_whatever_profile_is_left_as_it_is() -> None:
    names = (
        imagecodecs.cms_profile("srgb"),
        srgb_profile(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    for profile in names:
        data = making.pillow_file(making.scene(), "PNG", icc_profile=profile)
        assert np.array_equal(as_picture(data).to_numpy(), making.scene())


@pytest.mark.parametrize("deep", [False, True])
def test_grey_profiles(deep: bool) -> None:
    profile = imagecodecs.cms_profile("gray", whitepoint=[0.3127, 0.3290, 1.0], gamma=1.0)
    ramp = (
        np.arange(65536, dtype=np.uint16).reshape(256, 256) if deep else np.arange(256, dtype=np.uint8).reshape(16, 16)
    )
    unit = ramp / np.iinfo(ramp.dtype).max
    expected = np.where(unit <= 0.0031308, 12.92 * unit, 1.055 * unit ** (1 / 2.4) - 0.055)
    picture = as_picture(making.tiff_file(ramp, photometric="minisblack", iccprofile=profile))
    assert picture.notes == ()
    assert np.abs(picture.pixels - expected).max() < 0.001


def test_grey_pictures_with_a_colour_profile() -> None:
    grey = making.scene()[:, :, 0]
    data = making.pillow_file(Image.fromarray(grey), "PNG", icc_profile=making.adobe_rgb())
    picture = as_picture(data)
    expected = making.adobe_to_srgb(np.dstack([grey] * 3) / 255)
    assert picture.notes == ()
    assert np.abs(picture.to_numpy(np.float32) - expected).max() < 0.0018


def cmyk_profile(darkest: int = 0) -> bytes:
    """A CMYK profile made by hand: the smallest A2B0 table, 2 x 2 x 2 x 2 corners to Lab."""

    def lab(cyan: int, magenta: int, yellow: int, black: int) -> list[int]:
        light = np.array([[[(1 - ink) * (1 - black) for ink in (cyan, magenta, yellow)]]])
        rgb = (darkest + (255 - darkest) * light).round().astype(np.uint8)
        srgb, target = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(Image.fromarray(rgb), srgb, target, outputMode="LAB")
        assert image is not None
        lightness, a, b = np.asarray(image)[0, 0].tolist()
        return [lightness, (a + 128) % 256, (b + 128) % 256]

    corners = [lab(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0])
    for value in (1, 0, 0, 0, 1, 0, 0, 0, 1):
        table += (value << 16).to_bytes(4, "big")
    table += ramp * 4 + bytes(np.array(corners, np.uint8).ravel().tolist()) + ramp * 3
    table += b"\0" * (-len(table) % 4)
    white = b"XYZ \0\0\0\0" + b"".join(round(v * 65536).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    text = b"desc\0\0\0\0\0\0\0\2a\0" + b"\0" * 78
    text += b"\0" * (-len(text) % 4)
    tags, body, at = b"", b"", 128 + 4 + 4 * 12
    for name, content in ((b"desc", text), (b"wtpt", white), (b"A2B0", table), (b"A2B1", table)):
        tags += name + at.to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
        at += len(content)
    header = at.to_bytes(4, "big") + b"\0\0\0\0\x02\x40\0\0scnrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    header += b"".join(round(v * 65536).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    return header.ljust(128, b"\0") + (4).to_bytes(4, "big") + tags + body


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "TIFF 16"])
def test_cmyk_with_a_profile(kind: str) -> None:
    inks = np.zeros((8, 40, 4), np.uint8)
    expected = [(255, 255, 255), (0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)]
    for place in range(1, 5):
        inks[:, place * 8 : place * 8 + 8, place - 1] = 255
    image = Image.fromarray(inks, "CMYK")
    if kind == "TIFF 16":
        data = making.tiff_file(inks.astype(np.uint16) * 257, photometric="separated", iccprofile=cmyk_profile())
    else:
        data = making.pillow_file(
            image, kind, icc_profile=cmyk_profile(), **({"quality": 100} if kind == "JPEG" else {})
        )
    picture = as_picture(data)
    assert picture.notes == ()
    for place, colour in enumerate(expected):
        assert np.abs(picture.to_numpy()[:, place * 8 + 4].astype(int) - colour).max() <= 8


def test_the_black_of_paper_becomes_black() -> None:
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 8:] = 255
    data = making.pillow_file(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=cmyk_profile(darkest=60))
    picture = as_picture(data).to_numpy()
    assert picture[0, 0].min() >= 253
    assert picture[0, 15].max() <= 4


def test_our_profile_is_the_same_every_time() -> None:
    # Byte 24 on: the time of creation, which littlecms takes from the clock.
    assert srgb_profile()[24:36] == bytes.fromhex("07d000010001000000000000")
    assert ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())).profile.xcolor_space == "RGB "


@pytest.mark.parametrize(
    "profile",
    [
        b"garbage",
        b"\0" * 200,
        making.adobe_rgb()[:300],
        making.adobe_rgb()[:132] + b"\xff" * 400,
        imagecodecs.cms_profile("gray", gamma=2.2),
        cmyk_profile(),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_profile_that_is_damaged_or_does_not_fit_is_ignored_with_a_note(profile: bytes, deep: bool) -> None:
    array = making.deep_scene() if deep else making.scene()
    picture = as_picture(making.tiff_file(array, photometric="rgb", iccprofile=profile))
    assert np.array_equal(picture.to_numpy(array.dtype), array)
    assert len(picture.notes) == 1
    assert "profile" in picture.notes[0]


def test_png_gamma() -> None:
    values = making.scene()
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    linear = making.png_file(91, 61, 8, 2, rows, making.png_chunk(b"gAMA", (100_000).to_bytes(4, "big")))
    unit = values / 255
    expected = np.where(unit <= 0.0031308, 12.92 * unit, 1.055 * unit ** (1 / 2.4) - 0.055)
    assert np.abs(as_picture(linear).to_numpy(np.float32) - expected).max() < 0.003
    for usual in (45455, 0, 4_000_000_000):
        data = making.png_file(91, 61, 8, 2, rows, making.png_chunk(b"gAMA", usual.to_bytes(4, "big")))
        assert np.array_equal(as_picture(data).to_numpy(), values)


def test_adobe_rgb_said_by_exif_alone() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    values = np.full((16, 16, 3), [40, 200, 90], np.uint8)
    picture = as_picture(making.pillow_file(values, "JPEG", quality=100, exif=exif.tobytes()))
    assert picture.icc_profile is None
    assert np.abs(picture.to_numpy(np.float32) - making.adobe_to_srgb(values / 255)).max() < 0.01
    assert as_picture(making.pillow_file(values, "PNG", icc_profile=adobe_rgb_profile())).icc_profile


def test_profiles_are_read_from_pillow_images_too() -> None:
    image = Image.open(io.BytesIO(making.pillow_file(grid(np.uint8), "PNG", icc_profile=making.adobe_rgb())))
    expected = making.adobe_to_srgb(grid(np.uint8) / 255)
    assert np.abs(as_picture(image).to_numpy(np.float32) - expected).max() < 0.0018
