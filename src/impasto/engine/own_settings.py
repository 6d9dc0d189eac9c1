"""PyTorch's settings inside impasto, whatever the program around it has set for its own tensors."""

import contextlib
from collections.abc import Generator, Iterator
from typing import TypeVar

import torch

Item = TypeVar("Item")

_AUTOCAST = ("cpu", "cuda", "xpu", "mps")


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Compute with PyTorch's defaults while the context lasts: no autocast, no inference mode, tensors on the CPU.

    The default dtype is left alone, since it holds for all threads; no tensor here depends on it.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
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
