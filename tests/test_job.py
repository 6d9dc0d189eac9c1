"""The other uses of the machinery: reconstructions, textures, and what an objective says of a picture."""

from collections.abc import Callable

import numpy as np
import pytest

import impasto
from impasto import network
from impasto.errors import RecipeError, UsageError
from impasto.job import texture_job
from impasto.network import VGG
from impasto.picture import Picture
from impasto.recipe import Recipe
from impasto.terms import Content, Gram, MeanCovariance, Smoothness

QUICK = Recipe(
    size=32, start_size="final", steps=(40,), terms=Content("relu2_1") + MeanCovariance() + 0.1 * Smoothness()
)


@pytest.fixture(autouse=True)
def seeded(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


def test_a_low_layer_gives_the_picture_back(picture: Callable[..., Picture]) -> None:
    photo = picture(32, 32, 1)
    changes = {"size": 32, "steps": (150,), "smoothness": 0, "device": "cpu"}
    low = impasto.reconstruct(photo, "relu1_1", **changes)
    high = impasto.reconstruct(photo, "relu5_1", **changes)
    errors = [float(np.abs(found.pixels - photo.pixels).mean()) for found in (low, high)]
    assert errors[0] < 0.02
    assert errors[0] < 0.5 * errors[1]


def test_a_reconstruction_needs_a_content_term(picture: Callable[..., Picture]) -> None:
    with pytest.raises(RecipeError, match="no content term whose layers could be chosen"):
        impasto.reconstruct(picture(), recipe=Recipe(terms=1.0 * Gram()))


def test_a_texture_has_the_size_asked_for_and_the_style_s_colours(picture: Callable[..., Picture]) -> None:
    style = picture(40, 30, 2)
    found = impasto.texture(style, 24, 40, start_size=20, steps=(30, 30), device="cpu")
    assert found.size == (24, 40)
    assert found.alpha is None
    np.testing.assert_allclose(found.pixels.mean(axis=(1, 2)), style.pixels.mean(axis=(1, 2)), atol=0.03)


def test_seeds_make_different_textures(picture: Callable[..., Picture]) -> None:
    first, again, other = (
        impasto.texture(picture(32, 32, 2), 32, 32, steps=(5,), seed=seed, device="cpu").pixels for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_layers_of_a_texture_can_be_chosen(picture: Callable[..., Picture]) -> None:
    job = texture_job([picture()], 16, 32, impasto.presets.TEXTURE, ["relu1_1", "relu2_1"])
    assert isinstance(job.recipe, Recipe)
    assert [term.loss.layers for term in job.recipe.terms if term.loss.role == "style"] == [
        (("relu1_1", 0.5), ("relu2_1", 0.5))
    ]
    assert job.recipe.size == 32


def seam(pixels: np.ndarray) -> float:
    """How steep the step across the edge is, against steps inside."""
    inside = np.abs(np.diff(pixels, axis=2)).mean() + np.abs(np.diff(pixels, axis=1)).mean()
    across = np.abs(pixels[:, :, 0] - pixels[:, :, -1]).mean() + np.abs(pixels[:, 0] - pixels[:, -1]).mean()
    return float(across / inside)


def test_a_seamless_texture_wraps_around(picture: Callable[..., Picture]) -> None:
    # Smooth waves: where the border is not looked across, it shows.
    settings = {"start_size": 16, "steps": (40, 40), "smoothness": 20, "device": "cpu"}
    plain, seamless = (
        impasto.texture(picture(48, 48, 2), 32, 48, seamless=flag, **settings).pixels for flag in (False, True)
    )
    assert seam(seamless) < 1.3
    assert seam(plain) > 1.5 * seam(seamless)


def test_the_loss_of_a_seamless_texture_does_not_depend_on_where_it_begins(picture: Callable[..., Picture]) -> None:
    style, found = picture(32, 32, 2), picture(32, 48, 3)
    moved = Picture(np.roll(found.pixels, (16, 32), (1, 2)))
    recipe = QUICK.replace(size=48, padding="circular", content_weight=0)
    values = [impasto.loss(found, style, image, recipe=recipe, device="cpu").loss for image in (found, moved)]
    assert values[1] == pytest.approx(values[0], rel=1e-5)
    zeros = [
        impasto.loss(found, style, image, recipe=recipe.replace(padding="zeros"), device="cpu").loss
        for image in (found, moved)
    ]
    assert zeros[1] != pytest.approx(zeros[0], rel=1e-3)


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0)])
def test_a_texture_without_pixels_is_refused(width: int, height: int, picture: Callable[..., Picture]) -> None:
    with pytest.raises(UsageError, match=f"{width}x{height} pixels"):
        impasto.texture(picture(), height, width)


def test_the_loss_of_a_result_is_what_its_run_reported(picture: Callable[..., Picture]) -> None:
    content, style = picture(24, 32, 1), picture(40, 30, 2)
    run = impasto.Job(content, [style], QUICK, device="cpu").start()
    *_, last = run
    assert isinstance(last, impasto.Finished)
    found = impasto.loss(content, style, run.picture(), recipe=QUICK, device="cpu")
    assert found.loss == pytest.approx(last.loss, rel=1e-5)
    assert found.terms == pytest.approx(last.terms, rel=1e-4)
    assert found.gradient is None


def test_the_loss_of_another_frame_is_refused(picture: Callable[..., Picture]) -> None:
    with pytest.raises(UsageError, match=r"is 32x32, which is not the photo's aspect ratio \(32x24\)"):
        impasto.loss(picture(24, 32), picture(), picture(32, 32), recipe=QUICK)


def test_a_style_is_needed_where_a_term_asks_for_one(picture: Callable[..., Picture]) -> None:
    with pytest.raises(UsageError, match="no style picture"):
        impasto.Job(picture(), [], QUICK).start()
    run = impasto.Job(picture(), [], QUICK.replace(style_weight=0, steps=(2,)), device="cpu").start()
    assert isinstance(list(run)[-1], impasto.Finished)


@pytest.mark.parametrize("init", ["matched", "style"])
def test_a_start_in_the_style_s_colours_needs_a_style(init: str, picture: Callable[..., Picture]) -> None:
    with pytest.raises(UsageError, match=f"init {init!r} takes colours from a style"):
        impasto.Job(picture(), [], QUICK.replace(style_weight=0, init=init)).start()


def test_a_free_image_is_clipped_and_worth_what_it_is_worth_clipped(picture: Callable[..., Picture]) -> None:
    content, style = picture(24, 32, 1), Picture(np.clip(3 * picture(40, 30, 2).pixels - 1, 0, 1))
    recipe = QUICK.replace(bounds="free", terms=0.01 * Content("relu2_1") + MeanCovariance(), init="noise")
    run = impasto.Job(content, [style], recipe, device="cpu").start()
    events = list(run)
    result, last = run.picture(), events[-1]
    assert isinstance(last, impasto.Finished)
    assert result.pixels.min() >= 0
    assert result.pixels.max() <= 1
    assert impasto.loss(content, style, result, recipe=recipe, device="cpu").loss == pytest.approx(last.loss, rel=1e-5)
    # Which is not what the free image was worth, and never more than the start was.
    losses = [event.loss for event in events if isinstance(event, impasto.Stepped)]
    assert last.loss > 1.001 * min(losses)
    assert last.loss <= losses[0]
