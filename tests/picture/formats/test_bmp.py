"""BMP: bit fields of any width, transparency, and colours as headers of Windows 4 and 5 describe them."""

import struct

import numpy as np
import pytest

from impasto.errors import PictureError
from impasto.picture import as_picture
from tests.picture import samples as making

WIDTH, HEIGHT = 7, 5
# Windows GDI: PROFILE_EMBEDDED, PROFILE_LINKED and LCS_CALIBRATED_RGB as they stand in files
EMBEDDED, LINKED, CALIBRATED = b"DEBM", b"KNIL", b"\0\0\0\0"


def packed(levels: tuple[int, ...], masks: tuple[int, ...]) -> int:
    return sum(level << (mask & -mask).bit_length() - 1 for level, mask in zip(levels, masks, strict=True) if mask)


MASKS = [
    (16, (0x30, 0xE, 0x1, 0)),
    (16, (0xF00, 0xF0, 0xF, 0xF000)),
    (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    (32, (0x7FF, 0x3FF800, 0xFFC00000, 0)),
    (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    (32, (0xFF, 0xFF0000, 0xFF000000, 0xFF00)),
    (32, (0xFF0000, 0, 0xFF, 0)),
]


@pytest.mark.parametrize(("depth", "masks"), MASKS)
def test_bit_fields_of_any_width(depth: int, masks: tuple[int, ...]) -> None:
    tops = [(1 << mask.bit_count()) - 1 for mask in masks]
    random = np.random.default_rng(3)
    levels = np.stack([random.integers(0, top + 1, (HEIGHT, WIDTH)) for top in tops], axis=2)
    levels[0, 0] = tops
    pixels = np.array([[packed(tuple(map(int, pixel)), masks) for pixel in row] for row in levels], np.uint32)
    expected = levels / np.maximum(tops, 1)
    for top_down in (False, True):
        picture = as_picture(making.bmp_file(pixels, masks, depth=depth, top_down=top_down))
        assert (picture.alpha is None) == (masks[3] == 0)
        alpha = np.ones((HEIGHT, WIDTH)) if picture.alpha is None else picture.alpha
        assert np.abs(alpha - (expected[..., 3] if masks[3] else 1)).max() < 0.003
        visible = alpha > 0
        assert np.abs(np.moveaxis(picture.pixels, 0, -1)[visible] - expected[..., :3][visible]).max() < 0.003
        assert picture.bits == (16 if max(tops) > 255 else 8)
        assert not picture.notes
    short = making.bmp_file(pixels, masks[:3], depth=depth, header=40)
    assert as_picture(short).alpha is None
    for missing in (4, WIDTH * depth // 8 + 4):
        with pytest.raises(PictureError, match="incomplete"):
            as_picture(short[:-missing])


def test_alpha_without_bit_fields() -> None:
    # Windows follows the alpha mask of the newer headers; without a mask the fourth byte has no meaning.
    pixels = np.full((HEIGHT, WIDTH), 0x80102030, np.uint32)
    masks = (0, 0, 0, 0xFF000000)
    picture = as_picture(making.bmp_file(pixels, masks, compression=0))
    assert picture.to_numpy()[0, 0].tolist() == [0x10, 0x20, 0x30, 0x80]
    assert as_picture(making.bmp_file(pixels, (0, 0, 0, 0), compression=0)).alpha is None
    assert as_picture(making.bmp_file(pixels & np.uint32(0xFFFFFF), masks, compression=0)).alpha is None
    assert as_picture(making.bmp_file(pixels, (), compression=0, header=40)).alpha is None


def test_a_profile_is_followed_whether_embedded_or_described() -> None:
    pixels = np.full((HEIGHT, WIDTH), 0x20C040, np.uint32)
    masks = (0xFF0000, 0xFF00, 0xFF, 0)
    adobe = making.adobe_rgb()
    expected = making.adobe_to_srgb(np.array([0x20, 0xC0, 0x40]) / 255)
    embedded = as_picture(making.bmp_file(pixels, masks, space=EMBEDDED, profile=adobe))
    assert embedded.icc_profile == adobe
    assert np.abs(embedded.pixels[:, 0, 0] - expected).max() < 0.006
    # IEC 61966-2-5: Adobe RGB's primaries and white in CIE XYZ
    corners = [0.57667, 0.29734, 0.02703, 0.18556, 0.62736, 0.07069, 0.18823, 0.07529, 0.99134]
    told = struct.pack("<9i", *(round(v * 2**30) for v in corners)) + struct.pack("<I", round(563 / 256 * 65536)) * 3
    for header in (108, 124):
        described = as_picture(making.bmp_file(pixels, masks, space=CALIBRATED, calibration=told, header=header))
        assert np.abs(described.pixels[:, 0, 0] - expected).max() < 0.006
        assert not described.notes
    linked = as_picture(making.bmp_file(pixels, masks, space=LINKED, profile=b"C:\\a.icc"))
    assert "in another file" in linked.notes[0]
    damaged = as_picture(making.bmp_file(pixels, masks, space=EMBEDDED, profile=b"no profile" * 20))
    assert "damaged" in damaged.notes[0]
    for picture in (linked, damaged, as_picture(making.bmp_file(pixels, masks, space=CALIBRATED))):
        assert picture.to_numpy()[0, 0].tolist() == [0x20, 0xC0, 0x40]


def test_kinds_of_bmp_that_are_not_read_are_named() -> None:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint32)
    whole = making.bmp_file(pixels, (0xFF0000, 0xFF00, 0xFF, 0))
    kinds = {
        "method 5": making.bmp_file(pixels, (0, 0, 0, 0), compression=5),
        "2 bits": whole[:28] + b"\2\0\0\0" + whole[32:],
        "header of 99": whole[:14] + b"\x63" + whole[15:],
        "gaps": making.bmp_file(pixels, (0xF0F, 0xFF0000, 0xFF, 0)),
    }
    for words, data in kinds.items():
        with pytest.raises(PictureError, match=words) as error:
            as_picture(data)
        assert "is not read" in str(error.value)
        assert "damaged" not in str(error.value)
