"""The small painting that shows whether a device works, with the CPU in place of other devices."""

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest
import torch

from impasto.engine import devices, trial
from impasto.engine.run import Run
from impasto.engine.trial import Trial

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
LOSSES = (1.0, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5)
REFERENCE = Trial(CPU, torch.float32, LOSSES, 1.0)


def on_cuda(
    losses: tuple[float, ...] = LOSSES, dtype: torch.dtype = torch.float32, *, captured: bool = True, error: str = ""
) -> Trial:
    return Trial(CUDA, dtype, losses, 1.0, captured=captured, error=error)


def test_two_devices_that_work_are_found_to() -> None:
    found = list(trial.examine([CPU, CPU]))
    assert [problem for _, problem in found] == [None] * 3
    first, *others = (painted for painted, _ in found)
    assert first.title == "cpu in float32"
    assert first.captured is None
    assert first.losses[-1] < 0.6 * first.losses[0]
    # Bit for bit the same on both, and nearly the same on every machine, because the pictures are drawn from a seed.
    assert [painted.losses for painted in others] == [first.losses] * 2
    assert first.losses[0] == pytest.approx(0.323839, rel=1e-3)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: no kernel image is available\nCompile with TORCH_USE_CUDA_DSA"),
        TypeError("no kernel image is available, as MPS has no float64"),
    ],
)
def test_a_device_that_fails_is_told_from_one_that_works(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    painted = iter(range(10))
    paint = Run._paint  # noqa: SLF001

    def fail_second(run: Run) -> object:
        if next(painted) == 1:
            raise error
        return (yield from paint(run))

    monkeypatch.setattr(Run, "_paint", fail_second)
    problems = [problem for _, problem in trial.examine([CPU, CPU])]
    assert [problem is None for problem in problems] == [True, False, True]
    assert "no kernel image is available" in str(problems[1])
    assert "DSA" not in str(problems[1])


@pytest.mark.parametrize(
    ("painted", "problem"),
    [
        (on_cuda(), None),
        (on_cuda(captured=False), "no step could be captured"),
        (on_cuda(losses=(), error="CUDA error"), "painting fails .CUDA error.; take --device cpu"),
        (on_cuda(losses=(1.0, 0.8, 0.7, 0.5, 0.6, 0.5, 0.4)), "differ by 23.1%"),
        (on_cuda(losses=(1.0, 0.8, 0.7, 0.66, 0.61, 0.55, 0.1)), "differ by 1.5%"),
        (on_cuda(dtype=torch.bfloat16, losses=(1.0, 0.8, 0.7, 0.66, 0.61, 0.55, 0.1)), None),
        (on_cuda(losses=(1.0, 0.8, 0.7, 0.65, 0.1, 0.1, 0.1)), None),  # rounding errors, magnified
        (on_cuda(losses=(*LOSSES[:6], 1.5)), "does not fall"),
        (on_cuda(losses=(1.0, float("nan"), *LOSSES[2:])), "differ by nan"),
    ],
)
def test_a_problem_says_what_was_seen_and_what_to_do(painted: Trial, problem: str | None) -> None:
    found = painted.problem(REFERENCE)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(problem, found)


class Graph:
    """A graph that was captured on another device than its kernels ran on, so it is empty."""

    def replay(self) -> None: ...


@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes the engine believe that the CPU captures steps, or fails to."""

    def make(error: RuntimeError | None) -> None:
        @contextlib.contextmanager
        def capture(graph: Graph, stream: object) -> Iterator[None]:
            if error is not None:
                raise error
            yield

        for name, value in {
            "device": lambda device: contextlib.nullcontext(),
            "set_stream": lambda stream: None,
            "graph": capture,
            "current_stream": lambda device: None,
            "synchronize": lambda device: None,
            "Stream": lambda device: object(),
            "CUDAGraph": Graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(devices, "uses_graphs", lambda device: True)
        monkeypatch.setattr(devices, "steps_per_wait", lambda device, *, is_captured: 10)

    return make


def test_a_graph_that_does_nothing_is_found(capturing: Callable[..., None]) -> None:
    capturing(None)
    # Enough steps for all attempts of a run.
    painted = trial.paint(CPU, "float32", 30)
    assert painted.captured is True
    assert "painting fails (DivergedError" in str(painted.problem(REFERENCE))


def test_where_nothing_can_be_captured_the_losses_are_right_and_it_is_said(capturing: Callable[..., None]) -> None:
    plain = trial.paint(CPU, "float32")
    capturing(RuntimeError("operation not permitted when stream is capturing"))
    painted = trial.paint(CPU, "float32")
    assert painted.losses == plain.losses
    assert "no step could be captured" in str(painted.problem(plain))
