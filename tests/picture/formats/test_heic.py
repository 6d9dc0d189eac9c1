"""HEIC: 8 and 10 bits, profiles, transparency, orientation, credits; too large, damaged, or without its package."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import PictureError
from impasto.picture import Limits, as_picture, read_picture, remembered
from tests.picture import samples as making

pillow_heif = pytest.importorskip("pillow_heif")


def heic(array: NDArray[np.uint8] | NDArray[np.uint16], mode: str | None = None, **options: Any) -> bytes:
    mode = mode or {3: "RGB", 4: "RGBA"}[array.shape[2]] + (";16" if array.dtype == np.uint16 else "")
    image = pillow_heif.from_bytes(mode, (array.shape[1], array.shape[0]), array.tobytes())
    stream = io.BytesIO()
    image.save(stream, quality=-1, chroma=444, **options)
    return stream.getvalue()


def test_8_bits(tmp_path: Path) -> None:
    (tmp_path / "IMG.png").write_bytes(heic(making.scene()))
    picture = read_picture(tmp_path / "IMG.png")
    assert (picture.size, picture.bits, picture.alpha, picture.notes) == ((61, 91), 8, None, ())
    assert making.psnr(picture.to_numpy(), making.scene()) > 45


def test_10_bits_keep_their_levels() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    picture = as_picture(heic(np.dstack([ramp] * 3)))
    assert picture.bits == 16
    assert np.unique(picture.pixels[1]).size > 250
    assert np.abs(picture.pixels[1] - ramp / 65535).max() < 0.003
    assert (picture.pixels.min(), picture.pixels.max()) == (0, 1)


def test_alpha() -> None:
    rgba = making.with_alpha(making.scene(64, 96))
    back = as_picture(heic(rgba)).to_numpy()
    assert np.abs(back[:, :, 3].astype(int) - rgba[:, :, 3]).max() <= 2


def test_wide_gamut() -> None:
    values = making.scene(64, 96)
    expected = making.p3_to_srgb(values / 255)
    profile = making.icc_profile(making.P3, making.srgb_curve)
    for options in (
        {"icc_profile": profile, "save_nclx_profile": False},
        {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1},
    ):
        image = pillow_heif.from_pillow(Image.fromarray(values))
        if "icc_profile" in options:
            image.info["icc_profile"] = options.pop("icc_profile")
        stream = io.BytesIO()
        image.save(stream, quality=-1, chroma=444, **options)
        picture = as_picture(stream.getvalue())
        assert np.abs(picture.to_numpy(np.float32) - expected).mean() < 0.004
        assert np.abs(values / 255 - expected).mean() > 0.01


def test_orientation_is_applied_once_and_credits_are_kept() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "(c) Ann"
    image = Image.fromarray(making.scene())
    stream = io.BytesIO()
    heif = pillow_heif.from_pillow(image)
    heif.save(stream, quality=-1, chroma=444, exif=exif.tobytes())
    picture = as_picture(stream.getvalue())
    # However the tag was written, another reader of HEIC must see the same picture.
    other = pillow_heif.open_heif(io.BytesIO(stream.getvalue()))
    assert picture.size == other.size[::-1]
    assert making.psnr(picture.to_numpy(), np.asarray(other)) > 45
    assert picture.credits.copyright == "(c) Ann"


def test_the_limits_come_first() -> None:
    with pytest.raises(PictureError, match="over the limit of 100 pixels"):
        as_picture(heic(making.scene()), limits=Limits(max_pixels=100))


def test_damage() -> None:
    data = heic(making.scene())
    for cut in (40, 200, len(data) // 2, len(data) - 5):
        with pytest.raises(PictureError) as error:
            as_picture(data[:cut])
        assert str(error.value).isprintable()


def test_it_remembers_nothing() -> None:
    with pytest.raises(PictureError, match="remembers nothing"):
        remembered(io.BytesIO(heic(making.scene())))


def test_without_its_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(making.scene())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r"HEIC picture.*pip install pillow-heif") as error:
        as_picture(data)
    assert str(error.value).isprintable()
