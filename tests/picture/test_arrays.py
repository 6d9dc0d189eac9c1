"""Arrays, tensors and Pillow images in place of files."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import PictureError
from impasto.picture import as_picture
from tests.picture import samples as making

sides = st.integers(1, 9)
shapes = st.tuples(sides, sides, st.just(3))


class Tensor:
    """The attributes of a torch tensor that as_picture uses."""

    def __init__(self, array: NDArray[np.generic] | None) -> None:
        self.array = array

    def detach(self) -> "Tensor":
        return self

    cpu = detach

    def numpy(self) -> NDArray[np.generic]:
        if self.array is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


@given(hnp.arrays(np.uint8, shapes))
def test_uint8_survives(array: NDArray[np.uint8]) -> None:
    picture = as_picture(array)
    assert picture.bits == 8
    assert np.array_equal(picture.to_numpy(np.uint8), array)


@given(hnp.arrays(np.uint16, shapes))
def test_uint16_survives(array: NDArray[np.uint16]) -> None:
    picture = as_picture(array)
    assert picture.bits == 16
    assert np.array_equal(picture.to_numpy(np.uint16), array)


@given(hnp.arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)))
def test_floats_survive(array: NDArray[np.float32]) -> None:
    assert np.array_equal(as_picture(array).to_numpy(np.float32), array)


@given(hnp.arrays(np.uint8, st.tuples(sides, sides, st.just(4))))
def test_alpha_survives_and_hides_nothing(array: NDArray[np.uint8]) -> None:
    picture = as_picture(array)
    if (array[:, :, 3] == 255).all():
        assert picture.alpha is None
        return
    result = picture.to_numpy(np.uint8)
    seen = array[:, :, 3] > 0
    assert np.array_equal(result[:, :, 3], array[:, :, 3])
    assert np.array_equal(result[seen], array[seen])
    # The colours under transparency depend only on the visible ones.
    changed = array.copy()
    changed[~seen, :3] = 77
    assert np.array_equal(as_picture(changed).pixels, picture.pixels)


@given(hnp.arrays(np.uint16, shapes))
def test_16_bits_survive_a_png_file(array: NDArray[np.uint16]) -> None:
    assert np.array_equal(as_picture(making.written(array, "png", bits=16)).to_numpy(np.uint16), array)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_grey_becomes_three_equal_channels(shape: tuple[int, ...]) -> None:
    picture = as_picture(np.full(shape, 51, np.uint8))
    assert picture.pixels.shape == (3, 4, 5)
    assert np.allclose(picture.pixels, 0.2)


def test_big_endian_and_negative_strides() -> None:
    deep = making.deep_scene()
    assert np.array_equal(as_picture(deep.astype(">u2")[::-1]).to_numpy(np.uint16), deep[::-1])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((3, 40, 50), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5, 3), np.int64),
        np.zeros((4, 5, 3), bool),
        np.zeros((4, 5, 3), object),
        np.full((4, 5, 3), np.nan),
        np.full((4, 5, 3), np.inf),
        np.full((4, 5, 3), 255.0),
        np.full((4, 5, 3), -0.1),
    ],
)
def test_other_arrays_are_refused(array: NDArray[np.generic]) -> None:
    with pytest.raises(PictureError) as error:
        as_picture(array)
    assert "\n" not in str(error.value)


def test_rounding_noise_is_clipped_and_the_channel_order_is_hinted_at() -> None:
    assert as_picture(np.full((2, 2, 3), 1.00001)).pixels.max() == 1
    with pytest.raises(PictureError, match="channels last"):
        as_picture(np.zeros((3, 40, 50), np.uint8))


@pytest.mark.parametrize("batch", [False, True])
def test_tensors_are_channels_first(batch: bool) -> None:
    rgb = making.scene()
    planes = np.moveaxis(rgb, -1, 0).astype(np.float32) / 255
    picture = as_picture(Tensor(planes[np.newaxis] if batch else planes))
    assert np.array_equal(picture.to_numpy(), rgb)
    assert np.array_equal(as_picture(Tensor(np.moveaxis(rgb, -1, 0))).to_numpy(), rgb)


@pytest.mark.parametrize("array", [np.zeros((5, 4, 3)), np.zeros((2, 3, 4, 5)), np.zeros((4, 5)), None])
def test_other_tensors_are_refused(array: NDArray[np.float64] | None) -> None:
    with pytest.raises(PictureError, match="tensor"):
        as_picture(Tensor(array))


def test_a_torch_tensor_with_a_gradient() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.full((1, 3, 4, 5), 0.25, requires_grad=True)
    assert as_picture(tensor).size == (4, 5)


def test_a_picture_comes_back_as_it_is() -> None:
    picture = as_picture(making.scene())
    assert as_picture(picture) is picture


def test_files_paths_and_bytes_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(making.written(making.scene(), "png"))
    by_path = as_picture(path)
    assert by_path.source == str(path)
    for other in (str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert np.array_equal(as_picture(other).pixels, by_path.pixels)
    # More types than the annotation of as_picture allows.
    changeable = bytearray(path.read_bytes())
    assert np.array_equal(as_picture(changeable).pixels, by_path.pixels)  # type: ignore[arg-type]
    with path.open("rb") as file:
        assert as_picture(file).source == str(path)
    assert as_picture(path.read_bytes()).source == "memory"


@pytest.mark.parametrize("other", [None, 3, 2.5, object(), ["a.png"], {}])
def test_other_types_are_refused(other: object) -> None:
    with pytest.raises(PictureError, match="is no picture"):
        as_picture(other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_pillow_images_of_every_mode(mode: str) -> None:
    rgb = Image.fromarray(making.scene())
    via = "LA" if mode == "La" else "RGBA" if mode in ("RGBa", "PA") else "RGB"
    image = rgb.convert(via).convert(mode)
    straight = image.convert("LA") if mode == "La" else image
    expected = np.asarray(straight.convert("RGB"))
    assert np.abs(as_picture(image).to_numpy(np.uint8).astype(int) - expected).max() <= 1


def test_pillow_images_of_high_range() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for image in (
        Image.fromarray(ramp),
        Image.fromarray(ramp.astype(np.int32)),
        Image.fromarray(ramp / np.float32(65535)),
    ):
        picture = as_picture(image)
        assert picture.bits == 16
        assert np.array_equal(picture.to_numpy(np.uint16)[:, :, 0], ramp)
    with pytest.raises(PictureError, match="65535"):
        as_picture(Image.fromarray(np.full((2, 2), 70000, np.int32)))


def test_pillow_lab() -> None:
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(making.scene()), srgb, lab, outputMode="LAB")
    assert image is not None
    # 8-bit Lab is coarse where a channel is nearly 0: single pixels are off by more.
    assert np.abs(as_picture(image).to_numpy().astype(int) - making.scene()).mean() < 1


def test_a_later_frame_of_a_pillow_image() -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (40, 200)]
    image = Image.open(io.BytesIO(making.pillow_file(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    image.seek(1)
    picture = as_picture(image)
    assert (picture.notes, image.tell()) == ((), 1)
    assert picture.to_numpy()[0, 0].tolist() == [200, 200, 200]


def test_a_pillow_image_whose_file_is_broken() -> None:
    data = making.written(making.scene(), "png")
    image = Image.open(io.BytesIO(data[: len(data) // 2]))
    for _ in range(2):
        with pytest.raises(PictureError):
            as_picture(image)
