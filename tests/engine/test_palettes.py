"""The palette of the result: free, or transported to the styles'."""

import dataclasses
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch

import impasto
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.picture import Picture
from impasto.recipe import Inputs, Recipe, Style
from impasto.recipe.recipe import Colors
from impasto.recipe.terms import Content, MeanCovariance, TotalVariation
from impasto.reports.events import Finished, Stepped
from impasto.vgg import network
from impasto.vgg.network import VGG

RECIPE = Recipe(
    size=64,
    start_size=32,
    steps=(6, 4),
    detail=1.0,
    margin=0.05,
    init="matched",
    palette="transported",
    terms=0.1 * Content("relu2_1") + MeanCovariance() + 0.1 * TotalVariation(),
)
# A colour in every channel within two 8-bit levels; the transport is fitted to samples.
NEAR = 2 / 255


@pytest.fixture(autouse=True)
def seeded(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


def in_colors(picture: Picture, dark: tuple[float, float, float], light: tuple[float, float, float]) -> Picture:
    """Return a picture whose colours lie on the line from `dark` to `light`."""
    share = picture.pixels.mean(0)
    ends = [np.array(color, np.float32)[:, None, None] for color in (dark, light)]
    return dataclasses.replace(picture, pixels=(ends[0] + share * (ends[1] - ends[0])).astype(np.float32))


@pytest.fixture
def photo(picture: Callable[..., Picture]) -> Picture:
    return picture(48, 64, 1)


@pytest.fixture
def orange(picture: Callable[..., Picture]) -> Picture:
    return in_colors(picture(60, 50, 2), (0.2, 0.05, 0.0), (1.0, 0.6, 0.1))


@pytest.fixture
def blue(picture: Callable[..., Picture]) -> Picture:
    return in_colors(picture(60, 50, 3), (0.0, 0.1, 0.3), (0.3, 0.6, 0.9))


def quantiles(picture: Picture) -> np.ndarray:
    return np.quantile(picture.pixels.reshape(3, -1), np.linspace(0.02, 0.98, 49), axis=1)


def distance(one: Picture, other: Picture) -> float:
    """Return the largest distance between the quantiles of a channel."""
    return float(np.abs(quantiles(one) - quantiles(other)).max())


def paint(photo: Picture, *styles: Picture, recipe: Recipe = RECIPE) -> Picture:
    return impasto.stylize(photo, list(styles), recipe=recipe)


def test_the_result_has_the_colours_of_the_painting_and_no_others(photo: Picture, orange: Picture) -> None:
    transported, free = paint(photo, orange), paint(photo, orange, recipe=RECIPE.replace(palette="free"))
    assert distance(transported, orange) < NEAR
    assert distance(free, orange) > 4 * NEAR
    # Colours between the ends of the line only: along it, the second channel follows from the first.
    red, green, _ = transported.pixels
    assert np.abs(green - (0.05 + (red - 0.2) / 0.8 * 0.55)).mean() < NEAR


def test_the_loss_that_is_reported_is_that_of_the_picture_that_is_saved(photo: Picture, orange: Picture) -> None:
    recipe = RECIPE.replace(margin=0.0)
    run = Run(Scene(Inputs(photo, (Style(orange),)), recipe, torch.device("cpu")))
    last = list(run)[-1]
    assert isinstance(last, Finished)
    found = impasto.loss(photo, orange, run.picture(), recipe=recipe)
    assert last.loss == pytest.approx(found.loss, rel=1e-4)


def test_a_preview_has_the_palette_of_the_result(photo: Picture, orange: Picture) -> None:
    run = Run(Scene(Inputs(photo, (Style(orange),)), RECIPE, torch.device("cpu")))
    previews = [run.picture() for event in run if isinstance(event, Stepped) and event.step == event.steps]
    assert len(previews) == 2  # the last of each scale
    for preview in previews:
        assert distance(preview, orange) < 2 * NEAR
    # Nor does the picture jump at the end: it differs from the last preview by a step of the optimiser.
    assert np.abs(previews[-1].pixels - run.picture().pixels).mean() < 2 * NEAR


def test_a_blend_has_the_colours_of_both_by_weight(photo: Picture, orange: Picture, blue: Picture) -> None:
    result = impasto.stylize(photo, [Style(orange, 3.0), Style(blue, 1.0)], recipe=RECIPE)
    both = [orange.pixels.reshape(3, -1)] * 3 + [blue.pixels.reshape(3, -1)]
    assert distance(result, dataclasses.replace(orange, pixels=np.concatenate(both, 1)[:, None])) < 2 * NEAR


def test_each_part_has_the_colours_of_its_own_painting(photo: Picture, orange: Picture, blue: Picture) -> None:
    left = np.zeros((48, 64), np.float32)
    left[:, :32] = 1
    result = impasto.stylize(photo, [orange, blue], recipe=RECIPE, content_mask=left)
    for part, own, other in ((slice(0, 28), orange, blue), (slice(36, 64), blue, orange)):
        piece = dataclasses.replace(result, pixels=result.pixels[:, :, part])
        assert distance(piece, own) < distance(piece, other) / 4


def test_protected_parts_stay_the_photo_and_do_not_count(photo: Picture, orange: Picture) -> None:
    top = np.zeros((48, 64), np.float32)
    top[:16] = 1
    result = impasto.stylize(photo, orange, recipe=RECIPE.replace(size="original"), protect=top)
    assert np.abs(result.pixels[:, :15] - photo.pixels[:, :15]).max() < 1e-6
    assert distance(dataclasses.replace(result, pixels=result.pixels[:, 17:]), orange) < 3 * NEAR


@pytest.mark.parametrize("colors", get_args(Colors))
def test_the_colour_modes_keep_their_meaning(colors: Colors, photo: Picture, orange: Picture) -> None:
    free, transported = (
        paint(photo, orange, recipe=RECIPE.replace(colors=colors, palette=palette))
        for palette in ("free", "transported")
    )
    means = [picture.pixels.mean((1, 2)) for picture in (photo, orange, free, transported)]
    reference = means[1] if colors == "style" else means[0]
    assert np.abs(means[3] - reference).max() < 0.06
    if colors == "content":
        assert np.array_equal(free.pixels, transported.pixels)


def test_at_strength_0_the_photo_comes_out(photo: Picture, orange: Picture) -> None:
    recipe = RECIPE.replace(strength=0.0, init="content", size="original", start_size="final", steps=(2,))
    assert np.abs(paint(photo, orange, recipe=recipe).pixels - photo.pixels).max() < 1e-6


def test_a_free_palette_leaves_the_digest_of_earlier_versions() -> None:
    free = Recipe()  # with the settings of the first version
    assert free.digest == "15e296c03bf825002bd075ff4f577ea31b5e45c1888bc35e43d5e76801ac4c99"
    assert free.replace(palette="transported").digest != free.digest
