"""CUDA graphs: a step captured once and replayed, each graph on a stream of its own."""

import weakref
from collections.abc import Callable, Hashable
from typing import Final

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


def capture(work: Callable[[], None], device: torch.device, key: Hashable) -> Callable[[], None]:
    """Return a function that does `work` as one CUDA graph; `work` itself where it cannot be captured.

    Args:
        work: operations on tensors that keep their addresses. It has run before, so that libraries are set up.
        device: of the tensors.
        key: names the operations; those that could not be captured once are not tried again, as a failed capture may
            leak its memory.

    """
    if (key, device) in _REFUSED:
        return work
    with torch.cuda.device(device):
        free = _FREE_STREAMS.setdefault(device, [])
        stream = free.pop() if free else torch.cuda.Stream(device)
        before = torch.cuda.current_stream(device)
        torch.cuda.synchronize(device)
        _clear_workspaces()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream):
                work()
        except RuntimeError as error:
            free.append(stream)
            if is_out_of_memory(error):
                raise
            # Some operation waits for the device. Nothing was computed: capturing only records.
            _REFUSED.add((key, device))
            torch.cuda.set_stream(before)
            torch.cuda.synchronize(device)
            return work
        finally:
            # After a failed capture PyTorch may leave its stream as the present one.
            torch.cuda.set_stream(before)
    return CapturedGraph(graph, stream, device).replay


def _clear_workspaces() -> None:
    """Free cuBLAS workspaces before a capture, as PyTorch's own compiler does, so that the graph gets its own."""
    clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
    if clear is not None:
        clear()


# By device: the streams of graphs that are gone. PyTorch hands out 32 in turn, so new ones would come to be shared.
_FREE_STREAMS: Final[dict[torch.device, list[torch.cuda.Stream]]] = {}
_REFUSED: Final[set[tuple[Hashable, torch.device]]] = set()
