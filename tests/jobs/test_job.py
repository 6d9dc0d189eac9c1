"""Jobs: reconstructions, textures, the loss of a picture, and pictures painted one after another."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import impasto
from impasto.engine import networks
from impasto.errors import DeviceError, RecipeError, UsageError
from impasto.jobs.job import texture_job
from impasto.jobs.output import Output, Stages
from impasto.picture import Picture
from impasto.recipe import Recipe
from impasto.recipe.terms import Content, Gram, MeanCovariance, TotalVariation
from impasto.vgg import layers, network
from impasto.vgg.network import VGG
from tests.conftest import PAIRED_LAYERS, small_tensors

QUICK = Recipe(
    size=32, start_size="final", steps=(40,), terms=Content("relu2_1") + MeanCovariance() + 0.1 * TotalVariation()
)


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


def test_a_low_layer_gives_the_picture_back(picture: Callable[..., Picture]) -> None:
    photo = picture(32, 32, 1)
    changes: dict[str, Any] = {"size": 32, "steps": (150,), "smoothness": 0, "device": "cpu"}
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
    job = texture_job([impasto.Style(picture())], 16, 32, impasto.recipe.presets.TEXTURE, ["relu1_1", "relu2_1"])
    assert isinstance(job.recipe, Recipe)
    assert [term.loss.layers for term in job.recipe.terms if isinstance(term.loss, MeanCovariance)] == [
        (("relu1_1", 0.5), ("relu2_1", 0.5))
    ]
    assert job.recipe.size == 32


def seam(pixels: np.ndarray) -> float:
    """The mean difference across the border, relative to that between neighbouring pixels inside."""
    inside = np.abs(np.diff(pixels, axis=2)).mean() + np.abs(np.diff(pixels, axis=1)).mean()
    across = np.abs(pixels[:, :, 0] - pixels[:, :, -1]).mean() + np.abs(pixels[:, 0] - pixels[:, -1]).mean()
    return float(across / inside)


def test_a_seamless_texture_wraps_around(picture: Callable[..., Picture]) -> None:
    # Smooth waves, whose border is visible unless the texture wraps around.
    settings: dict[str, Any] = {"start_size": 16, "steps": (40, 40), "smoothness": 20, "device": "cpu"}
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
    run = impasto.Job(impasto.Inputs.of(content, [style]), QUICK, compute=impasto.Compute("cpu")).start()
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
        impasto.Job(impasto.Inputs(picture()), QUICK).start()
    run = impasto.Job(
        impasto.Inputs(picture()), QUICK.replace(style_weight=0, steps=(2,)), compute=impasto.Compute("cpu")
    ).start()
    assert isinstance(list(run)[-1], impasto.Finished)


@pytest.mark.parametrize("init", ["matched", "style"])
def test_a_start_in_the_style_s_colours_needs_a_style(init: str, picture: Callable[..., Picture]) -> None:
    with pytest.raises(UsageError, match=f"init {init!r} takes colours from a style"):
        impasto.Job(impasto.Inputs(picture()), QUICK.replace(style_weight=0, init=init)).start()


def test_a_free_image_is_clipped_and_worth_what_it_is_worth_clipped(picture: Callable[..., Picture]) -> None:
    content, style = picture(24, 32, 1), Picture(np.clip(3 * picture(40, 30, 2).pixels - 1, 0, 1))
    recipe = QUICK.replace(bounds="free", terms=0.01 * Content("relu2_1") + MeanCovariance(), init="noise")
    run = impasto.Job(impasto.Inputs.of(content, [style]), recipe, compute=impasto.Compute("cpu")).start()
    events = list(run)
    result, last = run.picture(), events[-1]
    assert isinstance(last, impasto.Finished)
    assert result.pixels.min() >= 0
    assert result.pixels.max() <= 1
    assert impasto.loss(content, style, result, recipe=recipe, device="cpu").loss == pytest.approx(last.loss, rel=1e-5)
    # It is not the loss of the free image, and never higher than that of the start.
    losses = [event.loss for event in events if isinstance(event, impasto.Stepped)]
    assert last.loss > 1.001 * min(losses)
    assert last.loss <= losses[0]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, ...]]]:
    """The networks that were loaded, and the sizes of the network's inputs, without and with a gradient."""
    done: dict[str, list[tuple[int, ...]]] = {"loaded": [], "measured": [], "painted": []}
    load, walk = network.load, VGG.walk

    def record_load(*args: Any, **kwargs: Any) -> VGG:
        done["loaded"].append(args)
        return load(*args, **kwargs)

    def record_walk(self: VGG, image: torch.Tensor, *args: Any, **kwargs: Any) -> Iterator[Any]:
        done["painted" if torch.is_grad_enabled() else "measured"].append(tuple(image.shape[2:]))
        return walk(self, image, *args, **kwargs)

    monkeypatch.setattr(network, "load", record_load)
    monkeypatch.setattr(VGG, "walk", record_walk)
    return done


# From noise, because then a few steps always lower the loss.
BATCH: dict[str, Any] = {"size": 64, "start_size": 32, "steps": (4,), "init": "noise", "device": "cpu"}


def test_a_batch_loads_once_and_measures_its_style_once(
    picture: Callable[..., Picture], work: dict[str, list[tuple[int, ...]]]
) -> None:
    photos = [picture(48, 64, seed) for seed in (1, 3, 4)]
    style, other = picture(60, 40, 2), picture(40, 60, 5)
    sizes = [
        (34, 23),
        (68, 45),
    ]  # the style's sizes at both scales, with as many pixels as the photo, 24 x 32 and 48 x 64
    found = []
    for photo in photos:
        found.append(impasto.stylize(photo, style, recipe=QUICK, **BATCH))
        assert [work["measured"].count(size) for size in sizes] == [1, 1]
    found.append(impasto.stylize(photos[0], [other, style], recipe=QUICK, **BATCH))
    assert [work["measured"].count(size) for size in sizes] == [1, 1]
    assert [work["measured"].count(size[::-1]) for size in sizes] == [1, 1]
    assert len(work["loaded"]) == 1
    all_styles: list[Any] = [style, style, style, [other, style]]
    for picture_found, photo, styles in zip(found, [*photos, photos[0]], all_styles, strict=True):
        networks.LOADED_NETWORKS.clear()
        alone = impasto.stylize(photo, styles, recipe=QUICK, **BATCH)
        np.testing.assert_array_equal(picture_found.pixels, alone.pixels)
    assert len(work["loaded"]) == 5
    assert not np.array_equal(found[0].pixels, found[3].pixels)


@pytest.mark.parametrize("change", [{"pooling": "average"}, {"padding": "replicate"}])
def test_another_recipe_gets_another_network(
    change: dict[str, str], picture: Callable[..., Picture], work: dict[str, list[tuple[int, ...]]]
) -> None:
    def paint(**changes: str) -> np.ndarray:
        return impasto.stylize(picture(), picture(40, 30, 2), recipe=QUICK, **{**BATCH, **changes}).pixels

    first, other, again = paint(), paint(**change), paint()
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(other, first)
    assert len(work["loaded"]) == 2


def test_a_style_with_other_pixels_is_another_style(picture: Callable[..., Picture]) -> None:
    style = picture(40, 30, 2)
    first = impasto.stylize(picture(), style, recipe=QUICK, **BATCH).pixels
    style.pixels[:] = 1 - style.pixels
    changed = impasto.stylize(picture(), style, recipe=QUICK, **BATCH).pixels
    networks.LOADED_NETWORKS.clear()
    np.testing.assert_array_equal(impasto.stylize(picture(), style, recipe=QUICK, **BATCH).pixels, changed)
    assert not np.array_equal(changed, first)


@pytest.mark.parametrize("layer", ["relu1_1", "relu3_1"])
def test_what_was_painted_before_does_not_show(
    layer: str, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Blocks of two convolutions are computed in bands if their features are not needed.
    monkeypatch.setattr(network, "load", lambda *_, **__: VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5] * 3))
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    monkeypatch.setattr(layers, "BAND_POSITIONS", 300)

    def paint(content: str) -> np.ndarray:
        terms = Content(content) + MeanCovariance(["relu1_1", "relu2_1", "relu3_1"])
        return impasto.stylize(picture(), picture(40, 30, 2), recipe=QUICK.replace(terms=terms), **BATCH).pixels

    alone = paint("relu2_2")
    networks.LOADED_NETWORKS.clear()
    paint(layer)
    np.testing.assert_array_equal(paint("relu2_2"), alone)


@pytest.mark.parametrize("limit", ["1GB", 10**9])
def test_a_limit_is_an_amount_or_its_text(limit: str | int, picture: Callable[..., Picture]) -> None:
    def tiles(max_memory: str | int) -> list[int | None]:
        recipe = QUICK.replace(size=640, padding="zeros")
        inputs = impasto.Inputs.of(picture(32, 32), picture())
        run = impasto.Job(inputs, recipe, impasto.Compute("cpu", max_memory)).start()
        return [plan.tile for plan in run.plans]

    assert tiles(limit) == [256]
    assert tiles("20GB") == [None]


def test_no_amount_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="'lots' is not an amount of memory"):
        impasto.stylize("gone.png", "gone.png", max_memory="lots")


def test_a_limit_too_low_for_any_size_is_refused(picture: Callable[..., Picture]) -> None:
    with pytest.raises(DeviceError, match="no size fits"):
        impasto.stylize(picture(), picture(), recipe=QUICK, max_memory="100MB", device="cpu")


def test_bfloat16_is_close_to_float32(picture: Callable[..., Picture]) -> None:
    def paint(precision: Any) -> np.ndarray:
        settings = {"recipe": QUICK, "device": "cpu", "precision": precision}
        return impasto.stylize(picture(24, 32, 1), picture(40, 30, 2), **settings).pixels

    exact, coarse, usual = paint("float32"), paint("bfloat16"), paint("auto")
    assert np.corrcoef(exact.ravel(), coarse.ravel())[0, 1] > 0.98
    assert not np.array_equal(exact, coarse)
    np.testing.assert_array_equal(usual, exact)


def test_a_preview_that_cannot_be_replaced_does_not_end_the_run(
    picture: Callable[..., Picture], tmp_path: Path
) -> None:
    (tmp_path / "now.png").mkdir()  # cannot be replaced, like a file that a viewer has open on Windows
    stages = Stages(Output("out.png", preview=str(tmp_path / "now.png")))
    for _ in range(2):
        stages.PREVIEW_INTERVAL = 0.0
        stages.show(lambda: picture(16, 16))
    assert (tmp_path / "now.png").is_dir()
    # One note says so.
    (note,) = stages.notes
    assert note.startswith(f"{tmp_path / 'now.png'}: could not be written")
