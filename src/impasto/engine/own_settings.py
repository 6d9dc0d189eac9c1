"""PyTorch's settings inside impasto, whatever the program around it has set for its own tensors."""

import contextlib
from collections.abc import Generator, Iterator
from typing import TypeVar

import torch

Item = TypeVar("Item")

_AUTOCAST = ("cpu", "cuda", "xpu", "mps")


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Compute with PyTorch's defaults while the context lasts: no autocast, no inference mode, float32, on the CPU.

    The default dtype holds for all threads, so that a thread of the host's sees float32 for as long, if it has another.
    """
    with contextlib.ExitStack() as stack:
        if (kind := torch.get_default_dtype()) != torch.float32:
            stack.callback(torch.set_default_dtype, kind)
            torch.set_default_dtype(torch.float32)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in _AUTOCAST:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def with_own_settings(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Yield what a generator yields, each item computed with `own_settings`; the caller in between has its own."""
    try:
        while True:
            with own_settings():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
    finally:
        with own_settings():
            items.close()
