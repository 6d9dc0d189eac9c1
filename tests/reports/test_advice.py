"""Advice: each sign on a picture that has the fault and on one without it; none if there is no fault."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import impasto
from impasto.picture import Picture
from impasto.recipe import Adam, Recipe, presets
from impasto.recipe.schedule import Scale
from impasto.recipe.terms import Content
from impasto.reports import advice
from impasto.reports.advice import Advice
from tests.conftest import SAMPLES

DEFAULT = presets.get("default").replace(size=128)
FALLING = [1.0 / step for step in range(20, 29)]  # a good run, whose loss falls neither too little nor too much


@pytest.fixture
def photo() -> np.ndarray:
    """Waves of several lengths, (3, 96, 128)."""
    y, x = np.mgrid[0:96, 0:128]
    waves = [0.2 * np.sin(x / a + y / b) + 0.1 * np.sin(x / 2.5 - y / 3) for a, b in ((9, 5), (4, -7), (-6, 11))]
    return (0.5 + np.stack(waves)).astype(np.float32)


def signs(picture: np.ndarray, photo: np.ndarray, recipe: Recipe = DEFAULT, losses: list[float] = FALLING) -> list[str]:
    return [found.sign for found in advice.advise(picture, photo, [photo[:, ::-1]], recipe, losses)]


def test_nothing_is_said_of_a_picture_like_its_photo(photo: np.ndarray) -> None:
    assert signs(photo, photo) == []


def test_grain(photo: np.ndarray) -> None:
    grain = np.random.default_rng(0).normal(0, 0.15, photo.shape).astype(np.float32)
    assert signs((photo + grain).clip(0.01, 0.99), photo) == ["noise"]
    assert signs((photo + grain / 10).clip(0.01, 0.99), photo) == []
    # No advice if the photo has the grain too.
    assert signs((photo + grain).clip(0.01, 0.99), (photo + grain).clip(0.01, 0.99)) == []


def test_clipped_colours(photo: np.ndarray) -> None:
    hard = (0.5 + 3 * (photo - 0.5)).clip(0, 1)
    assert signs(hard, photo) == ["clipped"]
    assert signs(hard, hard) == []
    assert signs(hard * 0.98 + 0.01, photo) == []


@pytest.mark.parametrize("color", [(0.5, 0.5, 0.5), (0.7, 0.3, 0.2)])
def test_flat_areas(color: tuple[float, ...], photo: np.ndarray) -> None:
    empty = photo.copy()
    empty[:, :, :64] = np.array(color, np.float32)[:, None, None]
    assert signs(empty, photo) == ["flat"]
    assert signs(empty, empty) == []
    small = photo.copy()
    small[:, :, :12] = 0.5
    assert signs(small, photo) == []


def test_borders(photo: np.ndarray) -> None:
    bare = DEFAULT.replace(margin=0)
    dirty = photo.copy()
    for side in (np.s_[:, :2], np.s_[:, -2:], np.s_[:, :, :2], np.s_[:, :, -2:]):
        dirty[side] = 0.5
    framed = photo.copy()
    for side in (np.s_[:, :1], np.s_[:, -1:], np.s_[:, :, :1], np.s_[:, :, -1:]):
        framed[side] = 0.05
    for picture in (dirty, framed):
        assert signs(picture, photo, bare) == ["borders"]
        assert signs(picture, picture, bare) == []
        # If there is no border, or there is a margin already, the advice would not help.
        assert signs(picture, photo, bare.replace(padding="circular")) == []
        assert signs(picture, photo) == []
    assert signs(photo, photo, bare) == []


def test_a_style_that_is_enlarged() -> None:
    final = Scale(384, 512, 10)
    assert advice.small_style(384, 512, final, DEFAULT) is None
    assert advice.small_style(260, 345, final, DEFAULT) is None
    found = advice.small_style(192, 256, final, DEFAULT)
    assert found is not None
    assert (found.sign, "256x192" in found.seen, "2.0 times" in found.seen) == ("small-style", True, True)
    assert found.help == "use a larger file of it or --size 256 or --style-scale 0.5"
    # The advised option helps.
    assert advice.small_style(192, 256, Scale(192, 256, 10), DEFAULT) is None
    assert advice.small_style(192, 256, final, DEFAULT.replace(style_scale=0.5)) is None
    assert advice.small_style(192, 256, final, DEFAULT.replace(style_fit="original")) is None


def test_pictures_of_one_colour(photo: np.ndarray) -> None:
    one = np.full((3, 96, 128), 0.4, np.float32)

    def said(content: np.ndarray, style: np.ndarray, recipe: Recipe = DEFAULT) -> list[str]:
        return [found.seen for found in advice.foresee(content, [style], recipe)]

    assert said(photo, photo) == []
    assert said(one, photo) == ["the photo is nearly of one colour"]
    assert said(photo, one) == ["the style picture is nearly of one colour"]
    assert said(one, photo, DEFAULT.replace(content_weight=0)) == []
    assert said(photo, one, DEFAULT.replace(style_weight=0)) == []


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (FALLING, []),
        ([1.0] + [0.5 - step * 1e-5 for step in range(20)], ["stalled"]),
        ([0.5 + step * 1e-5 for step in range(20)], ["stalled"]),
        ([0.8**step for step in range(20)], ["unfinished"]),
        # Too few steps for an advice.
        ([0.5**step for step in range(5)], []),
        ([0.0] * 20, ["stalled"]),
    ],
)
def test_losses(losses: list[float], expected: list[str], photo: np.ndarray) -> None:
    assert signs(photo, photo, losses=losses) == expected


def test_a_learning_rate_that_is_too_high_is_named() -> None:
    found = advice.stalled([1.0] * 10, DEFAULT.replace(optimizer=Adam(learning_rate=0.5)))
    assert found is not None
    assert found.help == "try --set optimizer.learning_rate=0.05"


def test_at_most_two_the_gravest_first(photo: np.ndarray) -> None:
    grain = np.random.default_rng(0).normal(0, 0.5, photo.shape).astype(np.float32)
    assert signs((photo + grain).clip(0, 1), photo, losses=[0.8**step for step in range(20)]) == ["noise", "clipped"]


@pytest.mark.parametrize("size", [(1, 1), (3, 300), (63, 128)])
def test_tiny_pictures_are_not_judged(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((3, *size), np.float32)
    assert signs(picture, np.full_like(picture, 0.5)) == []


def sample(name: str) -> str:
    return str(SAMPLES / name)


PAIRS = [
    ("rocket.jpg", "night_swirls.jpg"),
    ("chelsea.jpg", "woodcut.jpg"),
    ("astronaut.jpg", "autumn_knife.jpg"),
    ("coffee.jpg", "bauhaus.jpg"),
]


def advised(content: str, style: str, **changes: Any) -> tuple[Advice, ...]:
    recipe = presets.get("draft").replace(size=96, start_size="final", **changes)
    *_, last = impasto.Job(
        impasto.Inputs.of(sample(content), [sample(style)]), recipe, compute=impasto.Compute("cpu")
    ).start()
    assert isinstance(last, impasto.Finished)
    return last.advice


@pytest.mark.parametrize(("content", "style"), PAIRS)
def test_real_runs_that_are_well_say_nothing(content: str, style: str) -> None:
    assert advised(content, style) == ()


@pytest.mark.slow
def test_what_is_said_of_grain_takes_it_away() -> None:
    (first, *_) = advised(*PAIRS[2], smoothness=0, init="noise")
    assert (first.sign, first.help) == ("noise", "try --smoothness 4 or --init matched")
    changes: list[dict[str, Any]] = [{"smoothness": 4.0, "init": "noise"}, {"smoothness": 0.0, "init": "matched"}]
    for change in changes:
        assert "noise" not in [found.sign for found in advised(*PAIRS[2], **change)]


@pytest.mark.slow
def test_what_is_said_of_a_washed_out_picture_helps() -> None:
    (first, *_) = advised(*PAIRS[2], smoothness=4000.0)
    assert (first.sign, first.help) == ("flat", "try --smoothness 400")
    assert advised(*PAIRS[2], smoothness=40.0) == ()


@pytest.mark.slow
def test_what_is_said_of_borders_mends_them() -> None:
    (first, *_) = advised(*PAIRS[2], margin=0.0)
    assert (first.sign, first.help) == ("borders", "try --margin 0.03125")
    assert advised(*PAIRS[2], margin=0.03125) == ()


@pytest.mark.slow
def test_what_is_said_of_a_run_cut_short_helps() -> None:
    (first, *_) = advised(*PAIRS[2], init="grey", steps=(10,))
    assert (first.sign, first.help) == ("unfinished", "try more --steps, 20 there")
    assert len(advised(*PAIRS[2], init="grey", steps=(60,))) == 0


def test_a_run_carries_it_from_its_start(picture: Callable[..., Picture]) -> None:
    flat = Picture(np.full((3, 40, 40), 0.5, np.float32))
    recipe = Recipe(size=16, start_size="final", steps=(1,), terms=Content("relu1_1") + presets.get("default").terms)
    run = impasto.Job(impasto.Inputs.of(picture(), [flat]), recipe, compute=impasto.Compute("cpu")).start()
    events = list(run)
    (expected,) = run.early_advice
    assert expected.sign == "one-colour"
    assert isinstance(events[0], impasto.Started)
    assert isinstance(events[-1], impasto.Finished)
    assert events[0].advice == (expected,)
    assert events[-1].advice == (expected,)
