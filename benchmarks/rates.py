"""The highest rates of matrix products and copies that PyTorch reaches on a machine, each the best of several tries."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from benchmarks.records import Row

TRIES = 5


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the shortest time of several tries, in seconds, after one that warms up."""
    times = []
    for _ in range(TRIES + 1):
        begun = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def products(device: str, side: int) -> dict[str, float]:
    """Return the rate of square matrix products for each arithmetic, in GFLOP/s; a multiply-add counts twice."""
    kinds = {"float32": (torch.float32, False)}
    if device.startswith("cuda"):
        kinds |= {"TF32": (torch.float32, True), "bfloat16": (torch.bfloat16, False)}
    rates = {}
    for name, (dtype, tf32) in kinds.items():
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        with _tf32(tf32):
            rates[name] = 2 * side**3 / seconds(functools.partial(torch.mm, a, b, out=out), device) / 1e9
    return rates


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def copies(device: str, size: float) -> float:
    """Return the rate of copies of `size` bytes, in GB/s, counting bytes read and bytes written."""
    source = torch.zeros(round(size / 4), device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / seconds(lambda: target.copy_(source), device) / 1e9


def limits(device: str) -> Row:
    """Return both kinds of rates."""
    gpu = device.startswith("cuda")
    # So large that the start of an operation takes no noticeable part of the time and the copies fit into no cache.
    side, size = (8192, 4e9) if gpu else (2048, 256e6)
    return {"products_gflops": products(device, side), "copies_gbps": copies(device, size)}
