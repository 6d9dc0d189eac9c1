"""CUDA graphs: a step captured once and replayed, each graph on a stream of its own."""

import inspect
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch

from impasto.engine.devices import is_out_of_memory


class CapturedGraph:
    """A captured CUDA graph with its device and the stream it was captured on.

    Destroying a graph frees the cuBLAS workspaces of its stream (PyTorch 2.12 and later), which every other graph of
    that stream still uses. So live graphs never share one.
    """

    def __init__(self, graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream, device: torch.device) -> None:
        self._graph = graph
        self._device = device
        weakref.finalize(self, _FREE_STREAMS.setdefault(device, []).append, stream)

    def replay(self) -> None:
        """Do what was captured."""
        with torch.cuda.device(self._device):
            self._graph.replay()


@dataclass
class Captures:
    """What became of captures.

    Attributes:
        succeeded: number of graphs captured.
        failed: number of captures that failed, and of those not tried again after that.

    """

    succeeded: int = 0
    failed: int = 0


@contextmanager
def watch() -> Iterator[Captures]:
    """Count captures while the context lasts, and let PyTorch check at each replay that what a graph reads is alive.

    Only versions of PyTorch from 2.13 on can check that.
    """
    captures = Captures()
    _WATCHING.append(captures)
    try:
        yield captures
    finally:
        _WATCHING.remove(captures)


def checks_liveness() -> bool:
    """Whether this PyTorch can check at each replay that what a graph reads is alive."""
    return "check_input_liveness" in inspect.signature(torch.cuda.graph).parameters


def capture(work: Callable[[], None], device: torch.device, key: Hashable) -> Callable[[], None]:
    """Return a function that does `work` as one CUDA graph; `work` itself where it cannot be captured.

    Args:
        work: operations on tensors that keep their addresses. It has run before, so that libraries are set up.
        device: of the tensors.
        key: names the operations; those that could not be captured once are not tried again, as a failed capture may
            leak its memory.

    """
    if (key, device) in _REFUSED:
        _count(succeeded=False)
        return work
    with torch.cuda.device(device):
        free = _FREE_STREAMS.setdefault(device, [])
        stream = free.pop() if free else torch.cuda.Stream(device)
        before = torch.cuda.current_stream(device)
        torch.cuda.synchronize(device)
        _clear_workspaces()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream, **_checks()):
                work()
        except RuntimeError as error:
            free.append(stream)
            if is_out_of_memory(error):
                raise
            # Some operation waits for the device. Nothing was computed: capturing only records.
            _REFUSED.add((key, device))
            _count(succeeded=False)
            torch.cuda.set_stream(before)
            torch.cuda.synchronize(device)
            return work
        finally:
            # After a failed capture PyTorch may leave its stream as the present one.
            torch.cuda.set_stream(before)
    _count(succeeded=True)
    return CapturedGraph(graph, stream, device).replay


def _checks() -> dict[str, Any]:
    return {"check_input_liveness": True} if _WATCHING and checks_liveness() else {}


def _count(*, succeeded: bool) -> None:
    for captures in _WATCHING:
        captures.succeeded += succeeded
        captures.failed += not succeeded


def _clear_workspaces() -> None:
    """Free cuBLAS workspaces before a capture, as PyTorch's own compiler does, so that the graph gets its own."""
    clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
    if clear is not None:
        clear()


# By device: the streams of graphs that are gone. PyTorch hands out 32 in turn, so new ones would come to be shared.
_FREE_STREAMS: Final[dict[torch.device, list[torch.cuda.Stream]]] = {}
_REFUSED: Final[set[tuple[Hashable, torch.device]]] = set()
_WATCHING: Final[list[Captures]] = []
