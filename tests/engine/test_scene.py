"""Scenes: sizes of styles, first images, and periodic pictures."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch

from impasto.engine import initial
from impasto.engine.scene import Scene
from impasto.ops import resample
from impasto.picture import Picture
from impasto.recipe import Inputs, Recipe, Style
from impasto.recipe.schedule import Scale, measure, style_size

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("fit", "side", "scale", "expected"),
    [
        ("area", "long", 1.0, (160, 240)),  # 38400 pixels at 2 : 3
        ("area", "long", 0.5, (80, 120)),
        ("side", "long", 1.0, (160, 240)),
        ("side", "short", 1.0, (160, 240)),
        ("side", "height", 2.0, (320, 480)),
        ("original", "long", 1.0, (50, 75)),  # half the final size, half the style's own
        ("original", "long", 2.0, (100, 150)),
    ],
)
def test_the_size_of_a_style(
    fit: Literal["area", "side", "original"],
    side: Literal["long", "short", "height"],
    scale: float,
    expected: tuple[int, int],
) -> None:
    recipe = Recipe(style_fit=fit, side=side, style_scale=scale)
    assert style_size(100, 150, Scale(160, 240, 1), Scale(320, 480, 1), recipe) == expected


def test_an_original_style_is_never_larger_than_the_result() -> None:
    recipe = Recipe(style_fit="original")
    assert style_size(4000, 6000, Scale(160, 240, 1), Scale(160, 240, 1), recipe) == (160, 240)


@pytest.mark.parametrize(("side", "expected"), [("long", 60), ("short", 40), ("height", 40)])
def test_the_side_that_a_size_measures(side: Literal["long", "short", "height"], expected: int) -> None:
    assert measure(40, 60, side) == expected
    assert Scene(Inputs(Picture(np.zeros((3, 40, 60), np.float32))), Recipe(side=side, size=20), CPU).scales[-1] in (
        Scale(13, 20, 35),
        Scale(20, 30, 35),
    )


def test_grey_is_the_mean_of_the_training_pictures_and_a_level_of_noise() -> None:
    start = initial.grey(64, 64, 0)
    levels = 255 * start
    for channel, mean in enumerate((123.68, 116.779, 103.939)):
        assert float(levels[0, channel].min()) >= mean - 1e-3
        assert float(levels[0, channel].max()) <= mean + 1 + 1e-3
        assert float(levels[0, channel].mean()) == pytest.approx(mean + 0.5, abs=0.05)
    assert not torch.equal(start, initial.grey(64, 64, 1))


def test_a_picture_that_tiles_still_does_at_another_size() -> None:
    # A periodic wave is as steep at the border as in the middle.
    x = torch.arange(32) / 32 * 2 * torch.pi
    wave = (0.5 + 0.4 * torch.sin(x)[None, :] * torch.cos(x)[:, None]).expand(1, 3, 32, 32)
    wrapped, plain = (resample.resize(wave, 64, 64, wraps=wraps) for wraps in (True, False))
    assert wrapped.shape == plain.shape == (1, 3, 64, 64)

    def step(image: torch.Tensor, column: int) -> float:
        return float((image[..., column] - image[..., column - 1]).abs().mean())

    assert step(wrapped, 0) == pytest.approx(step(wrapped, 32), rel=0.01)
    assert step(plain, 0) != pytest.approx(step(plain, 32), rel=0.05)
    torch.testing.assert_close(wrapped[..., 8:-8, 8:-8], plain[..., 8:-8, 8:-8])


def test_notes_name_the_picture_they_are_about(picture: Callable[..., Picture]) -> None:
    import dataclasses

    noted = dataclasses.replace(picture(), source="a.tif", notes=("it had three pages",))
    assert Scene(Inputs(picture(), (Style(noted),)), Recipe(), CPU).notes == ("a.tif: it had three pages",)


def scene(**changes: Any) -> Scene:
    rng = np.random.default_rng(0)
    photo, style = (Picture(rng.random((3, 48, 64), np.float32)) for _ in range(2))
    return Scene(
        Inputs(photo, (Style(style),)),
        Recipe(size=64, start_size=32, **changes),
        CPU,
    )


def enlarged(of: Scene, image: torch.Tensor) -> torch.Tensor:
    return initial.next_image(of, of.scales[-1], image, of.photo(of.scales[-1]), of.style_images(of.scales[-1]))


def test_without_detail_an_image_is_enlarged_and_nothing_else() -> None:
    image = torch.rand(1, 3, 24, 32)
    assert torch.equal(enlarged(scene(), image), resample.resize(image, 48, 64))


@pytest.mark.parametrize("detail", [0.5, 1.0])
def test_detail_is_what_the_smaller_scale_cannot_hold(detail: float) -> None:
    flat = torch.full((1, 3, 24, 32), 0.5)
    found = enlarged(scene(detail=detail, bounds="free"), flat) - 0.5
    # The photo and the style are noise of the same kind, so the photo in the style's colours is almost the photo.
    photo = scene().photo(Scale(48, 64, 1))
    fine = photo - resample.resize(resample.resize(photo, 24, 32), 48, 64)
    assert float(torch.corrcoef(torch.stack([found.flatten(), fine.flatten()]))[0, 1]) > 0.99
    assert float(found.std() / fine.std()) == pytest.approx(detail, rel=0.1)
    assert float(resample.resize(found + 0.5, 24, 32).std()) < 0.2 * float(found.std())


def test_a_projected_image_stays_in_bounds_with_detail() -> None:
    found = enlarged(scene(detail=4.0), torch.rand(1, 3, 24, 32))
    assert float(found.min()) == 0.0
    assert float(found.max()) == 1.0


def test_an_image_that_has_its_size_already_gets_no_detail() -> None:
    image = torch.rand(1, 3, 48, 64)
    assert torch.equal(enlarged(scene(detail=1.0), image), image)


def test_a_frame_without_a_photo_has_no_detail() -> None:
    frame = Scene(
        Inputs(Picture(np.full((3, 48, 64), 0.5, np.float32))), Recipe(size=64, start_size=32, detail=1.0), CPU
    )
    image = torch.rand(1, 3, 24, 32)
    torch.testing.assert_close(enlarged(frame, image), resample.resize(image, 48, 64))


def test_a_large_picture_is_shrunk_once_before_it_is_uploaded(
    picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, style = picture(400, 300, 1), picture(350, 500, 2)
    recipe = Recipe(size=64, start_size=32, margin=0.1)
    scene = Scene(Inputs(photo, (Style(style),)), recipe, torch.device("meta"))
    shrunk: list[tuple[int, ...]] = []
    resize = resample.resize

    def spy(image: torch.Tensor, height: int, width: int, **options: bool) -> torch.Tensor:
        if not image.is_meta:
            shrunk.append((*image.shape[2:], height, width))
            return resize(image, height, width, **options)
        assert max(image.shape[2:]) <= 2 * 77 * 1.2  # the last scale with its margin, and a margin around it
        return image.new_empty(*image.shape[:2], height, width)

    monkeypatch.setattr(resample, "resize", spy)
    for scale in scene.scales:
        assert scene.photo(scale).shape[2:] == scene.canvas_size(scale)
        assert scene.style_images(scale)[0][0].is_meta
    assert [sizes[:2] for sizes in shrunk] == [(400, 300), (350, 500)]


@pytest.mark.parametrize("size", [(1, 9000), (9000, 1)])
def test_a_picture_one_pixel_wide_keeps_that_pixel(
    size: tuple[int, int], picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(Inputs(picture(*size)), Recipe(size=64, start_size=32, margin=0.0), torch.device("meta"))
    resize = resample.resize

    def resize_on_cpu(image: torch.Tensor, height: int, width: int, **options: bool) -> torch.Tensor:
        return image.new_empty(1, 3, height, width) if image.is_meta else resize(image, height, width, **options)

    monkeypatch.setattr(resample, "resize", resize_on_cpu)
    assert scene.photo(scene.scales[-1]).shape[2:] == scene.canvas_size(scene.scales[-1])


def test_shrinking_first_changes_nothing_that_shows() -> None:
    """Compared with resizing at once, for a picture with as much detail as its pixels can have."""
    noise = torch.rand(1, 3, 1200, 900, generator=torch.Generator().manual_seed(0))
    at_once = resample.resize(noise, 96, 72)
    stepwise = resample.resize(resample.resize(noise, 192, 144), 96, 72)
    assert float((at_once - stepwise).abs().mean()) < 1 / 255
