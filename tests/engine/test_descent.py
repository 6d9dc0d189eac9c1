"""The steps of a scale as a graph: recorded once and then replayed, they give the same result, bit for bit."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

import impasto
from impasto.engine import devices, graphs, optimizers
from impasto.engine.descent import CAPTURED_STEPS, Descent
from impasto.engine.objective import Evaluation, Objective
from impasto.picture import Picture
from impasto.recipe import LBFGS, Adam, Recipe
from impasto.recipe.terms import Content, Gram, Laplacian, MeanCovariance, TotalVariation
from impasto.vgg import network
from impasto.vgg.network import VGG
from tests.modes import DispatchMode

TERMS = 0.1 * Content("relu4_1") + MeanCovariance() + 0.2 * Gram() + 0.1 * TotalVariation()
# Operations that make the host wait for the device, which a CUDA graph cannot contain.
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "unique", "equal")


@pytest.fixture(autouse=True)
def no_kept_graphs() -> Iterator[None]:
    """Drop all kept graphs before and after each test."""
    CAPTURED_STEPS.clear()
    yield
    CAPTURED_STEPS.clear()


class Recording(DispatchMode):
    """Simulates a CUDA graph on any device: it records operations and the tensors that they read and write.

    As with capturing, recording changes no tensor. `play` repeats the operations without running the Python code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in WAITS), f"{func} waits for the device"
        for tensor in _tensors(args, kwargs):
            address = tensor.untyped_storage().data_ptr()
            if address not in self.before:
                self.before[address] = tensor.untyped_storage(), tensor.untyped_storage().clone()
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def undo(self) -> None:
        for storage, content in self.before.values():
            storage.copy_(content)

    @torch.no_grad()
    def play(self) -> None:
        for func, args, kwargs, result in self.calls:
            taken = {tensor.untyped_storage().data_ptr() for tensor in _tensors(args, kwargs)}
            again = func(*args, **kwargs)
            for old, new in zip(_tensors(result), _tensors(again), strict=True):
                if old.untyped_storage().data_ptr() not in taken:  # neither a view nor changed in place
                    old.copy_(new)


def _tensors(*trees: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(trees) if isinstance(leaf, torch.Tensor)]


def record(work: Callable[[], None]) -> Callable[[], None]:
    recording = Recording()
    with recording:
        work()
    recording.undo()
    return recording.play


def descend(vgg: VGG, optimizer: LBFGS | Adam, burst: int, steps: int = 14) -> tuple[Descent, list[float]]:
    generator = torch.Generator().manual_seed(0)
    photo, style, image = (torch.rand(1, 3, 24, 30, generator=generator) for _ in range(3))
    objective = Objective(vgg, Recipe(terms=TERMS), photo, [(style, 1.0)])
    descent = Descent(objective, optimizers.build(optimizer), image, steps)
    losses = []
    for found in descent.steps(burst):
        assert found is not None
        losses.append(found.loss)
    return descent, losses


OPTIMIZERS = pytest.mark.parametrize("optimizer", [LBFGS(history=4), Adam(decay=0.9)], ids=["lbfgs", "adam"])


@OPTIMIZERS
@pytest.mark.parametrize("burst", [1, 4, 100])
def test_a_recorded_step_played_again_goes_the_same_way_to_the_bit(
    optimizer: LBFGS | Adam, burst: int, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, losses = descend(small_network(), optimizer, 1)
    recorded = []
    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(graphs, "capture", lambda work, device, key: recorded.append(play := record(work)) or play)
    fixed, same = descend(small_network(), optimizer, burst)
    assert len(recorded) == 1
    assert same == losses
    assert torch.equal(fixed.image, plain.image)
    assert torch.equal(fixed.best, plain.best)
    assert fixed.lowest.loss == plain.lowest.loss == min(losses)
    assert torch.equal(fixed.final_candidate(), plain.final_candidate())


def test_pictures_in_a_row_share_the_graphs_of_their_sizes(
    small_network: Callable[..., VGG], picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    recipe = Recipe(size=32, start_size=16, steps=(8, 8), terms=TERMS)

    def painted() -> list[Picture]:
        pairs = [(picture(24, 32, seed), picture(30, 20 + seed, seed + 9)) for seed in range(3)]
        return [impasto.stylize(photo, style, recipe=recipe, device="cpu") for photo, style in pairs]

    plain = painted()
    recorded: list[Callable[[], None]] = []
    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(graphs, "capture", lambda work, device, key: recorded.append(play := record(work)) or play)
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(plain, painted(), strict=True))
    assert len(recorded) == 2


def test_a_picture_in_tiles_is_never_captured(small_network: Callable[..., VGG]) -> None:
    image = torch.rand(1, 3, 40, 40)
    tiled = Objective(small_network(), Recipe(terms=TERMS), image, [(image, 1.0)], tile=16)
    assert not tiled.capturable


def test_numbers_that_are_none_are_said_to_be_none(small_network: Callable[..., VGG]) -> None:
    image = torch.rand(1, 3, 16, 16)
    objective = Objective(small_network(), Recipe(terms=1.0 * TotalVariation()), image, [(image, 1.0)])
    descent = Descent(objective, optimizers.build(LBFGS()), torch.full_like(image, float("nan")), 3)
    assert list(descent.steps(3)) == [None, None, None]


def paint(
    vgg: VGG, seed: int, terms: Any, optimizer: LBFGS | Adam, size: tuple[int, int] = (24, 30), steps: int = 14
) -> Descent:
    generator = torch.Generator().manual_seed(seed)
    photo, image = (torch.rand(1, 3, *size, generator=generator) for _ in range(2))
    style = torch.rand(1, 3, 20 + seed, 33, generator=generator)
    objective = Objective(vgg, Recipe(terms=terms), photo, [(style, 1.0)])
    descent = Descent(objective, optimizers.build(optimizer), image, steps)
    assert None not in list(descent.steps(5))
    return descent


@OPTIMIZERS
@pytest.mark.parametrize(
    "terms",
    [
        TERMS,
        Content("relu2_1", form="mean") + Gram(form="mean"),
        Content("relu2_1", form="normalized") + Gram(form="literal"),
        Content("relu2_1", form="literal") + Laplacian() + TotalVariation(),
    ],
    ids=["relative", "mean", "normalized", "literal"],
)
def test_the_next_picture_of_its_kind_uses_the_same_graph_to_the_bit(
    optimizer: LBFGS | Adam, terms: Any, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    vgg = small_network()
    plain = [paint(vgg, seed, terms, optimizer) for seed in range(3)]
    recorded: list[Callable[[], None]] = []
    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(graphs, "capture", lambda work, device, key: recorded.append(play := record(work)) or play)
    again = [paint(vgg, seed, terms, optimizer) for seed in range(3)]
    assert len(recorded) == 1
    for one, other in zip(plain, again, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.best, other.best)
        assert one.lowest.loss == other.lowest.loss
        assert torch.equal(one.final_candidate(), other.final_candidate())
    assert len({id(each.objective) for each in again}) == 3
    # Another kind of step needs another graph.
    paint(vgg, 3, terms, optimizer, (30, 24))
    paint(vgg, 3, terms, optimizer, steps=15)
    paint(vgg, 3, terms + 0.3 * Content("relu1_1"), optimizer)
    paint(small_network(pooling="average"), 3, terms, optimizer)
    assert len(recorded) == 5


def test_slow_steps_are_waited_for_one_by_one(
    small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that previews and a request to stop come through every half second."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    image = torch.rand(1, 3, 24, 30)
    objective = Objective(small_network(), Recipe(terms=1.0 * TotalVariation()), image, [(image, 1.0)])

    def steps_between_waits(seconds: float) -> list[int]:
        evaluate = Objective.evaluate

        def slow(self: Objective, image: torch.Tensor, *, gradient: bool = True) -> Evaluation:
            clock[0] += seconds
            return evaluate(self, image, gradient=gradient)

        with monkeypatch.context() as patch:
            patch.setattr(Objective, "evaluate", slow)
            descent = Descent(objective, optimizers.build(LBFGS()), image, 40)
            taken: list[int] = []
            for _ in descent.steps(10):
                if not taken or descent.steps_done != sum(taken):
                    taken.append(descent.steps_done - sum(taken))
        return taken

    assert max(steps_between_waits(0.01)) == 10
    assert set(steps_between_waits(0.2)[2:-1]) == {3}
    assert set(steps_between_waits(4.0)[1:]) == {1}


def test_a_graph_that_holds_much_memory_is_not_kept(
    small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = iter([0.1, 0.3, 0.3, 0.7])  # the used share of the memory, before and after each capture
    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(devices, "reserved_share", lambda device: next(shares))
    monkeypatch.setattr(graphs, "capture", lambda work, device, key: record(work))
    vgg = small_network()
    paint(vgg, 0, TERMS, LBFGS(history=4))
    assert len(CAPTURED_STEPS) == 1
    paint(vgg, 0, TERMS, LBFGS(history=4), (30, 24))
    assert len(CAPTURED_STEPS) == 0
