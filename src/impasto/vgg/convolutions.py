"""The choice between two convolution methods on a CPU: PyTorch's default, and NNPACK's by Winograd's method.

The two round differently, so pictures differ in their last bits. If every process timed them anew, methods of nearly
the same speed would be chosen now one and now the other. So the choice is made once per machine, version of PyTorch and
number of threads, kept in the cache folder, and written into checkpoints, so that a resumed run continues as it began.
"""

import contextlib
import functools
import json
import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import torch
from torch.nn import functional as F

from impasto.errors import ImpastoError, UsageError, suggest
from impasto.system.atomic import write_whole
from impasto.system.folders import cache_folder
from impasto.system.text import printable

Method = Literal["default", "winograd"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

# Chooses a method for all runs, for example to get the same bits on machines that would choose differently.
VARIABLE: Final = "IMPASTO_CONVOLUTIONS"
FILE: Final = "convolutions.json"
# Ours, measured: with three tries, one process in five to ten chose otherwise than the rest; eight take 0.1 s in all.
_TRIES: Final = 8


class Seconds(NamedTuple):
    """The shortest of several durations."""

    elapsed: float
    own: float  # processor time of the calling thread


def method(device: torch.device | None = None) -> Method:
    """Return the method that this process convolves with on the CPU.

    Args:
        device: that features are computed on; on any but the CPU there is no choice, and nothing is timed.

    Raises:
        UsageError: `IMPASTO_CONVOLUTIONS` names no method.

    """
    if device is not None and device.type != "cpu":
        return "default"
    name = os.environ.get(VARIABLE)
    if not name:
        return _machine_choice()
    if name not in METHODS:
        raise UsageError(f"{VARIABLE} is {printable(name)!r}; {suggest(name, METHODS)}")
    return available(name) or "default"


def available(name: object) -> Method | None:
    """Return the method of that name, or the default where it is not available; None if there is no such method.

    Asking PyTorch whether NNPACK is available also initializes it: without that, its convolutions fail.
    """
    method = next((method for method in METHODS if method == name), None)
    return "default" if method == "winograd" and not torch._nnpack_available() else method


def forget() -> None:
    """Forget the choice read from the cache folder, as if this process had just started."""
    _machine_choice.cache_clear()


def flops_per_second() -> float:
    """Return the floating-point operations per second of convolutions, counted as if Winograd's method saved none."""
    return 2 * 9 * 128 * 128 * 64 * 64 / min(seconds.elapsed for seconds in time_methods())


def faster(default: Seconds, winograd: Seconds) -> Method:
    """Return the faster method by the calling thread's processor time, which other processes do not change."""
    return "winograd" if winograd.own < default.own else "default"


@functools.cache
def _machine_choice() -> Method:
    """Return this machine's choice from the cache folder, after making it and keeping it there if there is none yet."""
    key = f"{_processor()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"
    # If the cache folder cannot be read or written, the choice holds for this process only.
    with contextlib.suppress(ImpastoError, OSError, ValueError):
        path = cache_folder() / FILE
        if (remembered := _read(path).get(key)) in METHODS:
            return available(remembered) or "default"
        choice = faster(*time_methods())
        path.parent.mkdir(parents=True, exist_ok=True)
        # If another process was first, its choice holds for both.
        choices = {key: choice} | _read(path)
        write_whole(path, json.dumps(choices, indent=1).encode())
        return choices[key]
    return faster(*time_methods())


def _read(path: Path) -> dict[str, Method]:
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return {key: value for key, value in table.items() if value in METHODS} if isinstance(table, dict) else {}


def _processor() -> str:
    """Return a name that tells kinds of processors apart."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@functools.cache
def time_methods() -> tuple[Seconds, Seconds]:
    """Return the durations of a medium convolution, by default and by Winograd's method; timed once a process."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(shape, generator=generator) for shape in ((1, 128, 64, 64), (128, 128, 3, 3)))
    last, last_weight = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, weight))
    bias = torch.zeros(128)
    default = _best_time(lambda: F.conv2d(last, last_weight, bias, padding=1))
    if not torch._nnpack_available():
        return default, Seconds(math.inf, math.inf)
    return default, _best_time(lambda: torch._nnpack_spatial_convolution(x, weight, bias, padding=[1, 1]))


def _best_time(work: Callable[[], object]) -> Seconds:
    best = Seconds(math.inf, math.inf)
    with torch.no_grad():
        work()
        for _ in range(_TRIES):
            elapsed, processor_time = time.perf_counter(), time.thread_time()
            work()
            best = Seconds(
                min(best.elapsed, time.perf_counter() - elapsed), min(best.own, time.thread_time() - processor_time)
            )
    return best
