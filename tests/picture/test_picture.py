"""The Picture type: what it accepts, what it gives."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import OutputError, PictureError
from impasto.picture import Picture, as_picture
from tests.picture import samples as making


def pixels(height: int = 4, width: int = 5, value: float | np.float32 = 0.5) -> NDArray[np.float32]:
    return np.full((3, height, width), value, np.float32)


def test_sizes_are_height_first() -> None:
    picture = Picture(pixels(4, 5))
    assert (picture.height, picture.width, picture.size) == (4, 5, (4, 5))


def test_repr_shows_no_arrays() -> None:
    assert repr(Picture(pixels(), source="a.png")) == "<Picture 5 x 4 px, 8 bits, from 'a.png'>"


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": np.zeros((4, 5, 3), np.float32)},
        {"pixels": np.zeros((3, 4, 5), np.float64)},
        {"pixels": np.zeros((3, 0, 5), np.float32)},
        {"pixels": [[0.0]]},
        {"pixels": pixels(value=1.001)},
        {"pixels": pixels(value=-0.001)},
        {"pixels": pixels(value=np.nan)},
        {"pixels": pixels(value=np.inf)},
        {"alpha": np.zeros((5, 4), np.float32)},
        {"alpha": np.full((4, 5), np.nan, np.float32)},
        {"bits": 12},
        {"dpi": (0.0, 72.0)},
        {"dpi": (72.0, float("inf"))},
    ],
)
def test_impossible_fields_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(PictureError):
        Picture(**({"pixels": pixels()} | change))  # type: ignore[arg-type]


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Picture(pixels()).bits = 16  # type: ignore[misc]


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_to_numpy_rounds_to_the_nearest(dtype: type[np.uint8] | type[np.uint16], top: int) -> None:
    # 0.6 of a level above level 100 is nearer to 101; truncation would give 100.
    picture = Picture(pixels(value=np.float32(100.6 / top)))
    assert (picture.to_numpy(dtype) == 101).all()
    assert (Picture(pixels(value=np.float32(100.4 / top))).to_numpy(dtype) == 100).all()
    assert (Picture(pixels(value=1)).to_numpy(dtype) == top).all()


def test_to_numpy_adds_alpha_and_knows_three_dtypes() -> None:
    picture = Picture(pixels(), alpha=np.full((4, 5), 0.25, np.float32))
    assert picture.to_numpy(np.float32).shape == (4, 5, 4)
    assert picture.to_numpy("uint8")[0, 0].tolist() == [128, 128, 128, 64]
    with pytest.raises(PictureError, match="int32"):
        picture.to_numpy(np.int32)


def test_to_pil() -> None:
    rgba = making.with_alpha(making.scene())
    assert as_picture(making.scene()).to_pil().mode == "RGB"
    assert np.array_equal(np.asarray(as_picture(rgba).to_pil())[:, :, 3], rgba[:, :, 3])


def test_notebooks_get_a_png() -> None:
    shown = Image.open(io.BytesIO(as_picture(making.scene())._repr_png_()))
    assert shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), making.scene())


def test_save_replaces_unless_told_not_to(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    as_picture(making.scene()).save(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        as_picture(255 - making.scene()).save(path, force=False)
    assert path.read_bytes() == before
    as_picture(255 - making.scene()).save(path)
    assert path.read_bytes() != before
