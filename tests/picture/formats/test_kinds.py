"""Kinds of files that few programs write: read if possible, else refused by their name, never called damaged."""

import tempfile
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import PictureError
from impasto.picture import as_picture, measure
from tests.picture import samples as making

RGB = making.scene(40, 60)
RGBA = making.with_alpha(RGB)


def pam(array: NDArray[Any], top: int, kind: str, extra: str = "") -> bytes:
    height, width, depth = array.shape
    size = f"WIDTH {width}\nHEIGHT {height}\n{extra}DEPTH {depth}\n"
    header = f"P7\n# made here\n{size}MAXVAL {top}\nTUPLTYPE {kind}\nENDHDR\n"
    return header.encode() + array.astype(">u2" if top > 255 else np.uint8).tobytes()


def test_pam() -> None:
    assert np.array_equal(as_picture(pam(RGBA, 255, "RGB_ALPHA")).to_numpy()[40 // 3 :], RGBA[40 // 3 :])
    assert np.array_equal(as_picture(pam(RGB, 255, "RGB", "\n")).to_numpy(), RGB)
    deep = making.deep_scene(40, 60)
    assert np.array_equal(as_picture(pam(deep, 65535, "RGB")).to_numpy(np.uint16), deep)
    bits = (RGB[:, :, :1] > 100).astype(np.uint8)
    assert np.array_equal(as_picture(pam(bits, 1, "BLACKANDWHITE")).to_numpy()[:, :, :1], bits * 255)
    gray = as_picture(pam(np.dstack([bits * 77, bits * 100]), 100, "GRAYSCALE_ALPHA"))
    assert gray.alpha is not None
    assert np.array_equal(gray.alpha, bits[:, :, 0])
    whole = pam(RGB, 255, "RGB")
    damaged = (whole[:-1], whole[:30], whole.replace(b"MAXVAL 255", b"MAXVAL 0"), whole.replace(b"WIDTH", b"WIDE"))
    for data in damaged:
        with pytest.raises(PictureError, match="damaged or cut short"):
            as_picture(data)
    with pytest.raises(PictureError, match="over the limit"):
        as_picture(whole.replace(b"WIDTH 60", b"WIDTH 60000000"))
    with pytest.raises(PictureError, match="5 channels"):
        as_picture(pam(np.zeros((2, 2, 5), np.uint8), 255, "SPECTRUM"))


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA"])
def test_icons_and_cursors(kind: int, mode: str) -> None:
    small = Image.fromarray(RGB).resize((30, 20)).convert(mode)
    if mode == "RGBA":
        small.putalpha(Image.fromarray(RGB[:20, :30, 0]))
    mask = np.zeros((20, 30), bool)
    mask[5:9, 3:20] = True
    data = making.icon_file((30, 20, making.icon_bmp(small, mask)), kind=kind)
    picture = as_picture(data)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        measured = measure(file.name)
    assert (measured.height, measured.width) == picture.pixels.shape[1:] == (20, 30)
    assert picture.alpha is not None
    alpha = RGB[:20, :30, 0] if mode == "RGBA" else np.where(mask, 0, 255)
    assert np.array_equal(np.rint(picture.alpha * 255), alpha)
    expected = np.asarray(small.convert("RGB"))
    assert np.array_equal(picture.to_numpy()[:, :, :3][alpha > 0], expected[alpha > 0])
    assert not picture.notes


def test_the_largest_picture_of_an_icon_is_taken() -> None:
    png = making.pillow_file(RGB, "PNG")
    small = making.icon_bmp(Image.fromarray(RGB[:8, :8]), np.zeros((8, 8), bool))
    picture = as_picture(making.icon_file((8, 8, small), (60, 40, png), (8, 8, small)))
    assert np.array_equal(picture.to_numpy(), RGB)
    assert picture.notes == ("The icon holds several pictures; the largest was taken.",)
    for data in (
        making.icon_file((60, 40, png))[:-40],
        making.icon_file((8, 8, small))[:60],
        b"\0\0\1\0\1\0",
        making.icon_file((8, 8, b"")),
    ):
        with pytest.raises(PictureError, match="damaged or cut short"):
            as_picture(data)
    bomb = making.png_file(50_000, 50_000, 8, 2, bytes(100))
    with pytest.raises(PictureError, match="over the limit"):
        as_picture(making.icon_file((0, 0, bomb)))


DEEP_JPEG = imagecodecs.jpeg_encode(making.deep_scene(16, 16) >> 4, bitspersample=12)
SHORT_AVIF = b"\0\0\0\x10ftypmif3avif\0\0\0\x20mini" + bytes(24)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"qoif" + bytes(40), "a QOI file"),
        (b"DDS |\0\0\0" + bytes(120), "a DDS texture"),
        (b"\xff\x4f\xff\x51\0\x29" + bytes(40), "a JPEG 2000 file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
        (b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 ", "a JPEG 2000 file"),
        (b"II\xbc\1" + bytes(40), "a JPEG XR file"),
        (b"\x0a\5\1\x08" + bytes(124), "a PCX file"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0\4\0\4\0\x18\0" + bytes(48), "a TGA file"),
        (b"RIFF\x20\0\0\0ACONanih" + bytes(20), "an animated cursor"),
        (b"RIFF\x20\0\0\0AVI LIST" + bytes(20), "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw file"),
        (b"/* XPM */\nstatic char * a[] = {", "an XPM file"),
        (b"\x8aMNG\r\n\x1a\n" + bytes(40), "an MNG animation"),
        (bytes(128) + b"DICM" + bytes(40), "a DICOM file"),
        (b"PK\3\4" + bytes(40), "a ZIP archive"),
        (DEEP_JPEG, "JPEG of 12 bits"),
        (imagecodecs.jpegls_encode(RGB), "JPEG-LS"),
        (SHORT_AVIF, "AVIF in the short form"),
        (
            b"\x89PNG\r\n\x1a\n" + making.png_chunk(b"CgBI", bytes(4)) + making.pillow_file(RGB, "PNG")[8:],
            "Apple's form",
        ),
    ],
)
def test_kinds_that_are_not_read_are_named(data: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=words) as error:
        as_picture(data)
    assert "damaged" not in str(error.value)
    assert "convert it to" in str(error.value)


def test_a_lossless_jpeg_is_read() -> None:
    assert np.array_equal(as_picture(bytes(imagecodecs.jpeg8_encode(RGB, lossless=True))).to_numpy(), RGB)
