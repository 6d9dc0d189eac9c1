"""Runs with little memory, which is known before or runs out on the way, with a small seeded network."""

import gc
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from impasto.engine import optimizers, planning
from impasto.engine.descent import CAPTURED_STEPS, CapturedStep
from impasto.engine.objective import Objective
from impasto.engine.optimizers import Optimizer
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.errors import DeviceError, DeviceLostError
from impasto.picture import Picture
from impasto.recipe import LBFGS, Adam, Inputs, Recipe, Style
from impasto.recipe.terms import Content, Gram, MeanCovariance, TotalVariation
from impasto.reports.events import Adapted, Event, Finished, ScaleStarted, Started, Stepped
from impasto.vgg import network
from impasto.vgg.network import VGG

# Layers with small receptive fields, so that tiles of 16 px are larger than their halos.
STYLE = ["relu1_1", "relu2_1", "relu3_1"]
TERMS = 0.1 * Content("relu3_1") + MeanCovariance(STYLE) + 0.05 * Gram(STYLE) + 0.1 * TotalVariation()
LARGE = Recipe(size=64, start_size="final", steps=(6,), terms=TERMS)
SMALL = Recipe(size=32, start_size=16, steps=(4, 3), terms=TERMS)
CPU = torch.device("cpu")
LACK = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: 2 bytes"),
    MemoryError(),
]


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network and small tiles."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    monkeypatch.setattr(planning, "_TILES", (32, 16))
    monkeypatch.setattr(planning, "_HALO", 8)
    monkeypatch.setattr(planning, "_PROCESS_BYTES", 0)


@pytest.fixture
def make(picture: Callable[..., Picture]) -> Callable[..., Run]:
    def make(recipe: Recipe, limit: int | None = None, **kwargs: Any) -> Run:
        scene = Scene(
            Inputs(picture(48, 64, 1), (Style(picture(60, 45, 2)),)),
            recipe,
            CPU,
        )
        return Run(scene, max_memory=limit, **kwargs)

    return make


def plans(run: Run, scale: int = 0) -> list[planning.Plan]:
    return run.budget.alternatives(run.scales[scale])


def plans_downwards(run: Run) -> list[planning.Plan]:
    """The plans of the first scale that are tried one after another if memory runs out again and again."""
    found = plans(run)[:1]
    while less := run.budget.next_smaller(run.scales[0], found[-1]):
        found.append(less)
    return found


def paint(run: Run) -> np.ndarray:
    assert isinstance([*run][-1], Finished)
    return run.picture().pixels


@pytest.fixture
def input_sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The heights and widths of the network's inputs."""
    shapes: list[tuple[int, ...]] = []
    walk = VGG.walk

    def spy(self: VGG, image: torch.Tensor, *args: Any, **kwargs: Any) -> Iterator[Any]:
        shapes.append(tuple(image.shape[2:]))
        return walk(self, image, *args, **kwargs)

    monkeypatch.setattr(VGG, "walk", spy)
    return shapes


# Sums over tiles are added in another order, which changes the last digits of float32: 1e-7 of the gradient, which six
# steps make at most a thousand times as large. Adam divides by the size of the gradient, so a pixel or two with almost
# no gradient differ more. A wrong halo, or positions that are counted twice, change the picture by 1e-2.
@pytest.mark.parametrize(("optimizer", "tolerance"), [(LBFGS(), 1e-4), (Adam(), 1e-3)])
@pytest.mark.parametrize("tile", [32, 16])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_picture_in_tiles_is_that_of_a_run_at_once(
    optimizer: LBFGS | Adam,
    tolerance: float,
    tile: int,
    padding: str,
    make: Callable[..., Run],
    input_sizes: list[tuple[int, ...]],
) -> None:
    recipe = LARGE.replace(optimizer=optimizer, padding=padding)
    whole = paint(make(recipe))
    limit = next(plan.memory for plan in plans(make(recipe)) if plan.tile == tile)
    run = make(recipe, limit)
    assert [plan.tile for plan in run.plans] == [tile]
    input_sizes.clear()
    tiled = paint(run)
    assert max(max(shape) for shape in input_sizes) <= tile + 2 * 8
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=tolerance)
    assert np.abs(tiled - whole).mean() < 1e-6


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_tiles_leave_no_seams(padding: str, make: Callable[..., Run]) -> None:
    recipe = LARGE.replace(steps=(30,), padding=padding)
    run = make(recipe, next(plan.memory for plan in plans(make(recipe)) if plan.tile == 16))
    pixels = paint(run)
    for turned in (pixels, pixels.transpose(0, 2, 1)):
        steps = np.abs(np.diff(turned, axis=2)).mean(axis=(0, 1))
        across = np.arange(1, turned.shape[2]) % 16 == 0
        assert across.sum() >= 2
        assert 0.6 < steps[across].mean() / steps[~across].mean() < 1.6


def test_two_devices_share_the_tiles_and_paint_the_same(make: Callable[..., Run]) -> None:
    limit = next(plan.memory for plan in plans(make(LARGE)) if plan.tile == 16)
    np.testing.assert_array_equal(paint(make(LARGE, limit, others=(CPU,))), paint(make(LARGE, limit)))


@pytest.fixture
def made_optimizers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, weakref.ref[Optimizer]]]:
    """The lengths of history and weak references of all optimisers that were made."""
    made: list[tuple[int, weakref.ref[Optimizer]]] = []
    build = optimizers.build

    def spy(settings: Any, **kwargs: Any) -> Optimizer:
        optimizer = build(settings, **kwargs)
        made.append((settings.history, weakref.ref(optimizer)))
        return optimizer

    monkeypatch.setattr(optimizers, "build", spy)
    return made


@pytest.mark.parametrize("history", [6, 4, 2])
def test_the_history_planned_is_that_of_the_optimizer(
    history: int, make: Callable[..., Run], made_optimizers: list[Any]
) -> None:
    limit = next(plan.memory for plan in plans(make(LARGE)) if plan.history == history)
    run = make(LARGE, limit)
    assert [plan.history for plan in run.plans] == [history]
    paint(run)
    assert [history for history, _ in made_optimizers] == [history]


def test_each_scale_has_its_own_plan(make: Callable[..., Run], made_optimizers: list[Any]) -> None:
    recipe = LARGE.replace(start_size=32, steps=(6,))
    run = make(recipe, plans(make(recipe), 1)[-1].memory)
    assert [(plan.tile, plan.history) for plan in run.plans] == [(None, 6), (16, 2)]
    assert np.isfinite(paint(run)).all()
    assert [history for history, _ in made_optimizers] == [6, 2]


def test_a_plan_that_fits_nowhere_is_refused_before_anything_is_painted(make: Callable[..., Run]) -> None:
    run = make(SMALL, 1000)
    with pytest.raises(DeviceError, match="not enough memory"):
        _ = run.plans
    with pytest.raises(DeviceError, match="not enough memory"):
        list(run)
    assert not run.has_image


def run_out_of_memory(patch: pytest.MonkeyPatch, error: Exception, when: Callable[[int], bool]) -> list[int]:
    """Let memory run out in the evaluations for which `when` is true, counted from 1; return the list of all."""
    evaluate = Objective.evaluate
    calls: list[int] = []

    def evaluate_or_fail(self: Objective, *args: Any, **kwargs: Any) -> Any:
        calls.append(len(calls) + 1)
        if when(len(calls)):
            raise type(error)(*error.args)  # a new exception, because a raised one keeps its frames
        return evaluate(self, *args, **kwargs)

    patch.setattr(Objective, "evaluate", evaluate_or_fail)
    return calls


@pytest.mark.parametrize("error", LACK)
def test_where_memory_runs_out_the_run_goes_on_from_the_image_it_had(
    error: Exception, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = paint(make(SMALL))
    with monkeypatch.context() as patch:
        run_out_of_memory(patch, error, lambda call: call == 3)
        run = make(SMALL)
        events: list[Event] = []
        pictures = []
        for event in run:
            events.append(event)
            if isinstance(event, Stepped):
                pictures.append(run.picture().pixels)
    kinds = [type(event) for event in events]
    assert kinds == [
        Started, ScaleStarted, Stepped, Stepped, Adapted, Stepped, Stepped, ScaleStarted, *[Stepped] * 3, Finished,
    ]  # fmt: skip
    assert [(e.scale, e.step) for e in events if isinstance(e, Stepped)] == [
        *((0, step) for step in (1, 2, 3, 4)),
        *((1, step) for step in (1, 2, 3)),
    ]
    np.testing.assert_array_equal(pictures[2], pictures[1])
    assert not np.array_equal(pictures[1], pictures[0])
    assert np.isfinite(run.picture().pixels).all()
    np.testing.assert_array_equal(paint(make(SMALL)), reference)


def test_it_goes_on_with_the_next_plan(make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [Adapted(0, plan.tile, plan.history) for plan in plans_downwards(make(LARGE))[1:]]
    assert len(expected) > 2
    run_out_of_memory(monkeypatch, LACK[0], lambda call: call <= len(expected))
    assert [event for event in make(LARGE) if isinstance(event, Adapted)] == expected


# All evaluations: those at the start of each scale, of each step, and after the last step.
@pytest.mark.parametrize("call", range(1, 10))
@pytest.mark.parametrize("recipe", [SMALL, SMALL.replace(optimizer=Adam(), bounds="free")], ids=["lbfgs", "adam"])
def test_it_may_run_out_anywhere(
    call: int, recipe: Recipe, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first scale has tiles, so that with any optimiser a smaller plan exists.
    recipe = recipe.replace(size=64, start_size=48)
    with monkeypatch.context() as patch:
        calls = run_out_of_memory(patch, LACK[0], lambda number: number == call)
        run = make(recipe)
        events = list(run)
    assert len(calls) >= call
    assert sum(isinstance(event, Adapted) for event in events) == 1
    assert [(e.scale, e.step) for e in events if isinstance(e, Stepped)] == [
        *((0, step) for step in (1, 2, 3, 4)),
        *((1, step) for step in (1, 2, 3)),
    ]
    last = events[-1]
    assert isinstance(last, Finished)
    assert math.isfinite(last.loss)
    # The best of all losses reported at the last scale is kept.
    assert last.loss <= min(e.loss for e in events if isinstance(e, Stepped) and e.scale == 1) * (1 + 1e-5)


@pytest.mark.parametrize("error", LACK)
def test_where_no_plan_is_small_enough_it_is_an_error_in_one_line(
    error: Exception, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = paint(make(LARGE))
    with monkeypatch.context() as patch:
        calls = run_out_of_memory(patch, error, lambda call: True)
        run = make(LARGE)
        with pytest.raises(DeviceError, match=r"on cpu for 64x48; choose a --size under 64, or another") as caught:
            list(run)
    assert "\n" not in str(caught.value)
    assert len(calls) == len(plans_downwards(make(LARGE)))
    np.testing.assert_array_equal(paint(make(LARGE)), reference)


def test_the_coarser_picture_is_kept_where_the_finer_one_has_no_room(
    make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_out_of_memory(monkeypatch, LACK[0], lambda call: call > 6)
    run = make(SMALL)
    with pytest.raises(DeviceError, match="on cpu for 32x24"):
        list(run)
    assert run.picture().size in ((12, 16), (24, 32))
    assert np.isfinite(run.picture().pixels).all()


def test_other_faults_are_not_taken_for_lack_of_memory(
    make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = run_out_of_memory(monkeypatch, RuntimeError("shapes do not match"), lambda call: call == 2)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(make(SMALL))
    assert calls == [1, 2]


def test_what_was_remembered_is_let_go_of_before_it_goes_on(
    make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, made_optimizers: list[tuple[int, weakref.ref[Optimizer]]]
) -> None:
    objectives: list[weakref.ref[Objective]] = []
    init = Objective.__init__

    def spy(self: Objective, *args: Any, **kwargs: Any) -> None:
        objectives.append(weakref.ref(self))
        init(self, *args, **kwargs)

    monkeypatch.setattr(Objective, "__init__", spy)
    run_out_of_memory(monkeypatch, LACK[0], lambda call: call == 4)
    for event in make(LARGE):
        if isinstance(event, Adapted):
            gc.collect()
            assert [there() for there in objectives] == [None]
            assert [there() is None for _, there in made_optimizers] == [True, False]


def test_kept_graphs_are_given_up_before_the_plan(make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = paint(make(LARGE))
    with monkeypatch.context() as patch:
        run_out_of_memory(patch, LACK[0], lambda call: call == 1)
        CAPTURED_STEPS.put("an earlier picture's", cast("CapturedStep", SimpleNamespace(memory_share=0.1)))
        run = make(LARGE)
        events = [*run]
    assert not any(isinstance(event, Adapted) for event in events)
    assert len(CAPTURED_STEPS) == 0
    np.testing.assert_array_equal(run.picture().pixels, expected)


def test_a_device_that_fails_is_said(make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA repeats such an error for every later call in the process."""
    run_out_of_memory(
        monkeypatch, torch.AcceleratorError("CUDA error: an illegal memory access"), lambda call: call == 3
    )
    run = make(LARGE)
    with pytest.raises(DeviceLostError, match=r"cpu failed .*illegal memory access.*run the command again"):
        list(run)
    assert not run.has_image


def test_the_threads_of_several_devices_live_as_long_as_the_objective(
    picture: Callable[..., Picture], small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    """New threads in every step would start with an empty cache of cuDNN's plans."""
    threads: list[threading.Thread] = []
    walk = VGG.walk

    def spy(self: VGG, *args: Any, **kwargs: Any) -> Iterator[Any]:
        threads.append(threading.current_thread())
        return walk(self, *args, **kwargs)

    image = torch.from_numpy(picture(48, 64, 1).pixels)[None]
    objective = Objective([small_network(), small_network()], Recipe(terms=TERMS), image, [(image, 1.0)], tile=16)
    monkeypatch.setattr(VGG, "walk", spy)
    for _ in range(3):
        objective.evaluate(image.flip(3))
    assert 1 <= len(set(threads)) <= 2
    assert threading.main_thread() not in threads
