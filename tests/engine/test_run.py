"""Runs with a small seeded network: events, results, starts, repeatability, faults."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from impasto.engine.objective import Objective
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.errors import DivergedError, UsageError
from impasto.picture import Picture
from impasto.recipe import LBFGS, Adam, Inputs, Recipe, Style
from impasto.recipe.terms import Content, Gram, MeanCovariance, TotalVariation
from impasto.reports.events import Finished, ScaleStarted, Started, Stepped
from impasto.vgg import network
from impasto.vgg.network import VGG

TERMS = 0.1 * Content("relu4_1") + MeanCovariance() + 0.1 * TotalVariation()
RECIPE = Recipe(size=32, start_size=16, steps=(4, 3), terms=TERMS)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


@pytest.fixture
def make(picture: Callable[..., Picture]) -> Callable[..., Run]:
    def make(recipe: Recipe = RECIPE, content: Picture | None = None, start: Picture | None = None) -> Run:
        inputs = Inputs(content or picture(24, 32, 1), (Style(picture(40, 30, 2)),), start)
        return Run(Scene(inputs, recipe, CPU))

    return make


def finish(run: Run) -> tuple[Picture, Finished]:
    *_, last = run
    assert isinstance(last, Finished)
    return run.picture(), last


def test_events_tell_the_whole_story(make: Callable[..., Run]) -> None:
    events = list(make())
    kinds = [type(event) for event in events]
    assert kinds == [Started, ScaleStarted, *[Stepped] * 4, ScaleStarted, *[Stepped] * 3, Finished]
    assert [(e.height, e.width, e.steps) for e in events if isinstance(e, ScaleStarted)] == [(12, 16, 4), (24, 32, 3)]
    assert [(e.scale, e.step) for e in events if isinstance(e, Stepped)] == [(0, n) for n in (1, 2, 3, 4)] + [
        (1, n) for n in (1, 2, 3)
    ]
    for event in events:
        if isinstance(event, Stepped | Finished):
            assert sum(event.terms.values()) == pytest.approx(event.loss, rel=1e-5)
    assert isinstance(events[-1], Finished)
    assert events[-1].steps == 7


def test_the_loss_falls_and_the_last_one_is_the_lowest_of_its_scale(make: Callable[..., Run]) -> None:
    run = make(RECIPE.replace(steps=(10,)))
    events = list(run)
    last_scale = [event.loss for event in events if isinstance(event, Stepped) and event.scale == 1]
    assert isinstance(events[-1], Finished)
    assert events[-1].loss <= min(last_scale)
    assert events[-1].loss < 0.7 * last_scale[0]


@pytest.mark.parametrize("optimizer", [LBFGS(), Adam()])
def test_the_reported_loss_is_that_of_the_picture(
    optimizer: LBFGS | Adam,
    make: Callable[..., Run],
    picture: Callable[..., Picture],
    small_network: Callable[..., VGG],
) -> None:
    recipe = RECIPE.replace(optimizer=optimizer)
    result, last = finish(make(recipe))

    def tensor(image: Picture) -> torch.Tensor:
        return torch.from_numpy(image.pixels)[None]

    # The objective at the last scale, built by hand: the photo has its size, and the style gets as many pixels.
    from impasto.ops.resample import resize
    from impasto.recipe.schedule import fit_area

    style = resize(tensor(picture(40, 30, 2)), *fit_area(40, 30, 24 * 32))
    vgg = small_network(pooling=recipe.pooling, padding=recipe.padding)
    objective = Objective(vgg, recipe, tensor(picture(24, 32, 1)), [(style, 1.0)])
    assert objective.evaluate(tensor(result), gradient=False).loss == pytest.approx(last.loss, rel=1e-5)


def test_the_picture_at_a_step_has_the_loss_of_that_step(make: Callable[..., Run]) -> None:
    run = make(RECIPE.replace(steps=(3,), size=16, start_size=16, terms=1.0 * TotalVariation()))
    for event in run:
        if isinstance(event, Stepped):
            pixels = run.picture().pixels.astype(np.float64)
            expected = (np.diff(pixels, axis=1) ** 2).mean() + (np.diff(pixels, axis=2) ** 2).mean()
            assert event.loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("init", ["content", "matched", "noise", "style"])
def test_every_start_gives_a_picture_in_range(init: str, make: Callable[..., Run]) -> None:
    result, last = finish(make(RECIPE.replace(init=init)))
    assert result.size == (24, 32)
    assert result.pixels.min() >= 0
    assert result.pixels.max() <= 1
    assert math.isfinite(last.loss)


def first_picture(run: Run) -> np.ndarray:
    for event in run:
        if isinstance(event, Stepped):
            return run.picture().pixels
    raise AssertionError


def test_starts_are_what_they_say(make: Callable[..., Run], picture: Callable[..., Picture]) -> None:
    recipe = RECIPE.replace(start_size=32)
    photo = picture(24, 32, 1)
    np.testing.assert_array_equal(first_picture(make(recipe)), photo.pixels)
    noise = first_picture(make(recipe.replace(init="noise")))
    assert noise.std() == pytest.approx(12**-0.5, rel=0.05)
    assert not np.array_equal(noise, first_picture(make(recipe.replace(init="noise", seed=1))))
    given = picture(24, 32, 7)
    np.testing.assert_array_equal(first_picture(make(recipe, start=given)), given.pixels)
    style = picture(40, 30, 2).pixels
    for init in ("matched", "style"):
        start = first_picture(make(recipe.replace(init=init)))
        # Clamping to [0, 1] makes the match a little worse.
        np.testing.assert_allclose(start.mean(axis=(1, 2)), style.mean(axis=(1, 2)), atol=0.02)
        np.testing.assert_allclose(np.cov(start.reshape(3, -1)), np.cov(style.reshape(3, -1)), atol=0.01)


@pytest.mark.parametrize("init", ["content", "noise"])
def test_a_seed_repeats_the_picture_to_the_bit(init: str, make: Callable[..., Run]) -> None:
    recipe = RECIPE.replace(init=init, seed=5)
    first, second = finish(make(recipe))[0], finish(make(recipe))[0]
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_closing_ends_the_run_and_keeps_the_picture(make: Callable[..., Run]) -> None:
    run = make()
    with pytest.raises(UsageError, match="nothing has been painted yet"):
        run.picture()
    for event in run:
        if isinstance(event, Stepped):
            break
    run.close()
    assert list(run) == []
    assert run.picture().size == (12, 16)


def test_alpha_is_carried_to_the_result(make: Callable[..., Run], picture: Callable[..., Picture]) -> None:
    import dataclasses

    alpha = np.zeros((24, 32), np.float32)
    alpha[:, 16:] = 1
    result, _ = finish(make(content=dataclasses.replace(picture(24, 32, 1), alpha=alpha, dpi=(300.0, 300.0))))
    assert result.alpha is not None
    np.testing.assert_allclose(result.alpha, alpha, atol=1e-5)
    assert result.dpi == (300.0, 300.0)


def test_a_margin_is_painted_and_cut_off(make: Callable[..., Run]) -> None:
    plain, _ = finish(make())
    with_margin, _ = finish(make(RECIPE.replace(margin=0.125)))
    assert with_margin.size == plain.size
    assert not np.array_equal(with_margin.pixels, plain.pixels)


@pytest.mark.parametrize("size", [(1, 1), (3, 300), (300, 1), (2, 2)])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_tiny_and_narrow_pictures(
    size: tuple[int, int], margin: float, make: Callable[..., Run], picture: Callable[..., Picture]
) -> None:
    result, last = finish(make(RECIPE.replace(margin=margin, init="matched"), picture(*size, 3)))
    assert np.isfinite(result.pixels).all()
    assert math.isfinite(last.loss)
    assert max(result.size) == 32


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("terms", [TERMS, 0.1 * Content("relu4_1") + Gram()])
def test_pictures_of_one_colour(level: float, terms: object, picture: Callable[..., Picture]) -> None:
    flat = Picture(np.full((3, 20, 20), level, np.float32))
    for content, style in ((flat, picture()), (picture(), flat), (flat, flat)):
        run = Run(
            Scene(
                Inputs(content, (Style(style),)),
                RECIPE.replace(terms=terms, init="matched"),
                CPU,
            )
        )
        result, last = finish(run)
        assert np.isfinite(result.pixels).all()
        assert math.isfinite(last.loss)


def test_styles_blend_by_their_weights(picture: Callable[..., Picture]) -> None:
    terms = Content("relu4_1") + MeanCovariance(["rgb", "relu1_1"])
    recipe = Recipe(size=32, start_size=32, steps=(40,), content_weight=0, terms=terms)
    dark = Picture(picture(40, 40, 2).pixels * 0.3)
    light = Picture(1 - picture(40, 40, 3).pixels * 0.3)

    def brightness(weight: float) -> float:
        scene = Scene(
            Inputs(picture(), (Style(dark, 1 - weight), Style(light, weight))),
            recipe,
            CPU,
        )
        return float(finish(Run(scene))[0].pixels.mean())

    levels = [brightness(weight) for weight in (0.0, 0.5, 1.0)]
    assert levels[0] < levels[1] - 0.1
    assert levels[1] < levels[2] - 0.1


def poison(monkeypatch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """Replace the gradient by NaN in the evaluations for which `when` is true."""
    evaluate = Objective.evaluate
    calls = iter(range(10**9))

    def poisoned(self: Objective, image: torch.Tensor, *, gradient: bool = True) -> object:
        found = evaluate(self, image, gradient=gradient)
        if gradient and when(next(calls)) and found.gradient is not None:
            found.gradient[0, 0, 0, 0] = math.nan
        return found

    monkeypatch.setattr(Objective, "evaluate", poisoned)


def test_a_gradient_that_is_no_number_costs_an_evaluation_and_no_step(
    make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda call: call in (1, 2, 5))
    run = make(RECIPE.replace(steps=(6,)))
    events = list(run)
    assert sum(isinstance(event, Stepped) for event in events) == 12
    assert np.isfinite(run.picture().pixels).all()
    assert isinstance(events[-1], Finished)
    assert math.isfinite(events[-1].loss)


def test_gradients_that_are_never_numbers_end_in_an_error(
    make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda call: call > 2)
    run = make(RECIPE.replace(steps=(12,)))
    with pytest.raises(DivergedError, match="not finite 6 times"):
        list(run)
    assert np.isfinite(run.picture().pixels).all()


@pytest.mark.parametrize("error", [RuntimeError("broken"), OSError("gone"), ZeroDivisionError()])
def test_after_any_error_the_picture_is_the_best_there_was(
    error: Exception, make: Callable[..., Run], fault: Callable[[int, Exception], None]
) -> None:
    fault(9, error)
    # Steps so long that the loss rises and falls.
    run = make(RECIPE.replace(start_size="final", steps=(20,), optimizer=Adam(learning_rate=0.5)))
    losses, pictures = [], []

    def paint() -> None:
        for event in run:
            if isinstance(event, Stepped):
                losses.append(event.loss)
                pictures.append(run.picture().pixels)

    with pytest.raises(type(error)):
        paint()
    best = losses.index(min(losses))
    assert best < len(losses) - 1
    np.testing.assert_array_equal(run.picture().pixels, pictures[best])


def test_a_picture_asked_for_between_two_scales_is_whole(make: Callable[..., Run]) -> None:
    run = make(RECIPE.replace(margin=0.1))
    sizes = []
    for event in run:
        if isinstance(event, ScaleStarted) and run.has_image:
            sizes.append(run.picture().size)
    assert sizes == [(12, 16)]


def test_expected_memory_grows_with_the_picture_and_is_honest_about_other_devices(
    picture: Callable[..., Picture],
) -> None:
    def expected(size: int, device: str = "cpu") -> int | None:
        return Run(Scene(Inputs(picture(24, 32)), RECIPE.replace(size=size), torch.device(device))).expected_memory

    small, large = expected(256), expected(1024)
    assert small is not None
    assert large is not None
    assert 2 * small < large
    assert expected(256, "cuda") is None
