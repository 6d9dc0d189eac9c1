"""Simulated CUDA graphs: a fake driver, and steps on PyTorch's meta device. These tests do not use a GPU."""

import contextlib
import copy
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from impasto.engine import devices, graphs, optimizers
from impasto.engine.descent import CAPTURED_STEPS, Descent
from impasto.engine.objective import Objective
from impasto.recipe import LBFGS, Recipe, presets
from impasto.recipe.terms import Content, MeanCovariance, TotalVariation, Wasserstein
from impasto.vgg.network import VGG
from tests.modes import DispatchMode

DEVICE = torch.device("cuda", 1)
TERMS = 0.1 * Content("relu2_1") + MeanCovariance({"relu1_1": 0.5, "relu2_1": 0.5}) + TotalVariation()


class Driver:
    """A simulated torch.cuda that records devices and streams."""

    def __init__(self) -> None:
        self.devices: list[torch.device] = []
        self.current: object = "default stream"
        self.captured_on: list[object] = []
        self.error: RuntimeError | None = None

    @contextlib.contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        self.devices.append(device)
        yield

    def set_stream(self, stream: object) -> None:
        self.current = stream

    @contextlib.contextmanager
    def graph(self, graph: object, stream: object) -> Iterator[None]:
        self.captured_on.append(stream)
        # PyTorch leaves this stream only if the capture succeeds.
        before, self.current = self.current, stream
        if self.error is not None:
            raise self.error
        yield
        self.current = before


class Graph:
    def replay(self) -> None: ...


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    for name, value in {
        "device": driver.device,
        "set_stream": driver.set_stream,
        "graph": driver.graph,
        "current_stream": lambda device: driver.current,
        "synchronize": driver.devices.append,
        "Stream": lambda device: object(),
        "CUDAGraph": Graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return driver


def test_live_graphs_never_share_a_stream_and_that_of_a_dead_one_is_used_again(driver: Driver) -> None:
    first, second = (graphs.capture(lambda: None, DEVICE, "step") for _ in range(2))
    assert driver.captured_on[0] is not driver.captured_on[1]
    del first
    gc.collect()
    third = graphs.capture(lambda: None, DEVICE, "step")
    assert driver.captured_on[2] is driver.captured_on[0]
    assert second is not third


def test_capturing_and_replaying_are_on_the_descents_own_device(driver: Driver) -> None:
    graphs.capture(lambda: None, DEVICE, "step")()
    assert driver.devices == [DEVICE, DEVICE, DEVICE]


def test_a_failed_capture_restores_the_stream_and_is_not_tried_again(driver: Driver) -> None:
    def work() -> None: ...

    driver.error = RuntimeError("operation not permitted when stream is capturing")
    assert graphs.capture(work, DEVICE, "waits") is work
    assert driver.current == "default stream"
    driver.error = None
    assert graphs.capture(work, DEVICE, "waits") is work
    assert len(driver.captured_on) == 1
    assert graphs.capture(work, DEVICE, "another") is not work


def test_lack_of_memory_while_capturing_is_not_hidden(driver: Driver) -> None:
    driver.error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        graphs.capture(lambda: None, DEVICE, "large")
    assert driver.current == "default stream"


def test_captures_are_counted_while_somebody_watches(driver: Driver) -> None:
    with graphs.watch() as captures:
        graphs.capture(lambda: None, DEVICE, "counted")
        driver.error = RuntimeError("operation not permitted when stream is capturing")
        # The second time it is not tried.
        for _ in range(2):
            graphs.capture(lambda: None, DEVICE, "waits too")
    driver.error = None
    graphs.capture(lambda: None, DEVICE, "counted")
    assert captures == graphs.Captures(succeeded=1, failed=2)


@pytest.mark.usefixtures("driver")
def test_pytorch_checks_what_a_graph_reads_while_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Capturing(contextlib.nullcontext[None]):
        def __init__(self, graph: object, stream: object, check_input_liveness: bool = False) -> None:
            super().__init__()
            asked.append(check_input_liveness)

    monkeypatch.setattr(torch.cuda, "graph", Capturing)
    graphs.capture(lambda: None, DEVICE, "checked")
    with graphs.watch():
        graphs.capture(lambda: None, DEVICE, "checked")
    assert asked == [False, True]


class HostTensors(DispatchMode):
    """Refuses operations that touch a tensor on the CPU, as a captured step must not."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            if isinstance(leaf, torch.Tensor):
                assert leaf.device.type == "meta", f"{func} touches a tensor on the {leaf.device}"
        return result


class ReachedError(Exception):
    """Raised when the step to capture has been passed to `capture`."""


def step_on_meta(recipe: Recipe, vgg: VGG, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return the step that would be captured, on the meta device, which has shapes and devices but no values."""
    photo, style = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 40, 56)
    objective = Objective(vgg, recipe, photo, [(style, 1.0)])
    assert objective.capturable
    # Targets need values, so the objective is made on the CPU and copied to the meta device.
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "__deepcopy__", lambda tensor, memo: tensor.detach().to("meta"))
        on_meta = object.__new__(Objective)
        vars(on_meta).update(copy.deepcopy(vars(objective), {id(vgg): vgg.to(torch.device("meta"))}))
    steps: list[Callable[[], None]] = []

    def capture(work: Callable[[], None], device: torch.device, key: object) -> Callable[[], None]:
        steps.append(work)
        raise ReachedError

    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(graphs, "capture", capture)
    optimizer = optimizers.build(recipe.optimizer, projected=recipe.bounds == "projected")
    descent = Descent(on_meta, optimizer, photo.to("meta"), 40)
    with pytest.raises(ReachedError):
        next(descent.steps(10))
    return steps[0]


# The other losses read values of the photo, or wait for eigenvalues.
CAPTURED = [name for name in presets.NAMES if name not in ("patches", "photoreal", "crowsonkb")]


@pytest.mark.parametrize("name", CAPTURED)
def test_a_step_touches_no_tensor_on_the_cpu(
    name: str, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = presets.get(name)
    recipe = preset.with_layers("style", ("relu1_1", "relu2_1")) if preset.compares("style") else preset
    recipe = recipe.with_layers("content", "relu3_1") if recipe.compares("content") else recipe
    step = step_on_meta(recipe, small_network(pooling=recipe.pooling), monkeypatch)
    with HostTensors():
        step()


class Storages(DispatchMode):
    """Records the storages that a step reads or writes and has not made itself."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[int] = set()
        self.used: dict[int, StorageWeakRef] = {}
        self.tensors: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in self.made:  # noqa: SLF001
                self.used.setdefault(leaf.untyped_storage()._cdata, StorageWeakRef(leaf.untyped_storage()))  # noqa: SLF001
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in self.used:  # noqa: SLF001
                self.made.add(leaf.untyped_storage()._cdata)  # noqa: SLF001
                self.tensors.append(leaf)
        return result


def test_what_a_kept_graph_reads_stays_alive(
    small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph of one picture is replayed for the next one, when the objects of the first no longer exist."""
    read = Storages()

    def capture(work: Callable[[], None], device: torch.device, key: object) -> Callable[[], None]:
        with read:
            work()
        read.tensors.clear()
        return lambda: None

    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(graphs, "capture", capture)
    CAPTURED_STEPS.clear()
    image = torch.rand(1, 3, 24, 32)
    objective = Objective(small_network(), Recipe(terms=TERMS), image, [(image.flip(2), 1.0)])
    descent = Descent(objective, optimizers.build(LBFGS(history=4)), image, 20)
    list(descent.steps(10))
    del objective, descent, image
    gc.collect()
    assert read.used
    dead = [storage for storage, reference in read.used.items() if reference.expired()]
    CAPTURED_STEPS.clear()
    assert not dead


def test_losses_that_wait_for_the_device_are_not_captured(small_network: Callable[..., VGG]) -> None:
    image = torch.rand(1, 3, 24, 32)
    waiting = Objective(small_network(), Recipe(terms=1.0 * Wasserstein("relu1_1")), image, [(image, 1.0)])
    assert not waiting.capturable


@pytest.mark.parametrize(("steps", "captures"), [(8, 0), (40, 1)])
def test_graphs_that_are_not_kept_are_captured_only_where_they_pay(
    steps: int, captures: int, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    captured: list[object] = []
    monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
    monkeypatch.setattr(graphs, "capture", lambda work, device, key: captured.append(key) or work)
    image = torch.rand(1, 3, 24, 32)
    objective = Objective(small_network(), Recipe(terms=TERMS), image, [(image, 1.0)])
    list(Descent(objective, optimizers.build(LBFGS()), image, steps, reuse=False).steps(10))
    assert len(captured) == captures
