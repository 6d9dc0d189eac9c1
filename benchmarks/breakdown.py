"""Where the time of a step goes, by PyTorch's profiler.

Operations are classified by the names and shapes that PyTorch records, and not by names of impasto's code. So when that
code changes, an operation that fits no rule appears under its own name.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

FORWARD, BACKWARD = "convolutions, forward", "convolutions, backward"
POOLING = "poolings and ReLU"
PRODUCTS = "matrix products (statistics)"
IMAGE = "arithmetic on images (optimiser, smoothness)"
REST = "everything else (losses, copies)"
OTHER = "of and to pixels, and what surrounds convolutions"
OUTSIDE = "outside of operations (Python, waiting)"

_CONVOLUTION = re.compile(r"conv|winograd|im2col|col2im|fprop|dgrad|cudnn", re.IGNORECASE)
_POOLING = re.compile(r"pool|relu|threshold|maximum", re.IGNORECASE)
_PRODUCT = re.compile(r"::(mm|bmm|addmm|baddbmm|addbmm|matmul|linear)$|gemm|cutlass|cublas", re.IGNORECASE)
_BACKWARD = "autograd::engine::evaluate_function"


@dataclass(frozen=True)
class Operation:
    """One operation: its name, the names of its callers (outermost last), its inputs' shapes, and its own seconds."""

    name: str
    callers: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    seconds: float


def kind(operation: Operation, image_size: int) -> str:
    """Return the part of a step that an operation belongs to; `image_size` is the number of values in an image."""
    names = (operation.name, *operation.callers)
    backward = any(name.startswith(_BACKWARD) or "dgrad" in name for name in names)
    if any(_CONVOLUTION.search(name) for name in names) or _is_pixel_product(operation):
        return BACKWARD if backward else FORWARD
    if any(_POOLING.search(name) for name in names):
        return POOLING
    if any(_PRODUCT.search(name) for name in names):
        return PRODUCTS
    if any(_count(shape) == image_size for shape in operation.shapes):
        return IMAGE
    return REST


def _is_pixel_product(operation: Operation) -> bool:
    # The first convolution is computed as a matrix product, in which one length is 27: 3 x 3 positions x 3 channels.
    return bool(_PRODUCT.search(operation.name)) and any(27 in shape for shape in operation.shapes)


def _count(shape: Sequence[int]) -> int:
    count = 1 if shape else 0
    for length in shape:
        count *= length
    return count


def layer(operation: Operation) -> str:
    """Return a convolution's size, `64 to 128 channels, 256 wide`, or `other` where its shapes do not show it.

    A layer has the same name in the backward pass, in which its channels are in the other order.
    """
    inputs = [shape for shape in operation.shapes if len(shape) == 4]
    if len(inputs) < 2 or tuple(inputs[1][2:]) != (3, 3):
        return OTHER
    features, kernel = inputs[:2]
    few, many = sorted(kernel[:2])
    return f"{few} to {many} channels, {features[3]} wide"


def parts(operations: Iterable[Operation], image_size: int) -> dict[str, float]:
    """Return seconds by part of the step."""
    found: dict[str, float] = defaultdict(float)
    for operation in operations:
        found[kind(operation, image_size)] += operation.seconds
    return dict(found)


def by_layer(operations: Iterable[Operation], image_size: int) -> dict[str, dict[str, float]]:
    """Return seconds by direction and size of convolution."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for operation in operations:
        direction = kind(operation, image_size)
        if direction in (FORWARD, BACKWARD) and operation.seconds > 0:
            found[direction][layer(operation)] += operation.seconds
    return {direction: dict(layers) for direction, layers in found.items()}


def largest(operations: Iterable[Operation], image_size: int, part: str, count: int = 6) -> dict[str, float]:
    """Return the seconds of a part's `count` most expensive operations by name."""
    found: dict[str, float] = defaultdict(float)
    for operation in operations:
        if kind(operation, image_size) == part:
            found[operation.name[:80]] += operation.seconds
    return dict(sorted(found.items(), key=lambda item: -item[1])[:count])


def record(work: Callable[[], object], device: str) -> list[Operation]:
    """Do `work` and return its operations: those of the CPU, or on a GPU the kernels that ran there.

    A kernel that an operation launched has that operation among its callers, and its shapes. A kernel of a captured
    graph has neither.
    """
    activities = [ProfilerActivity.CPU]
    gpu = device.startswith("cuda")
    if gpu:
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, record_shapes=True) as profiler:
        work()
        if gpu:
            torch.cuda.synchronize()
    events = list(profiler.events() or [])
    if not gpu:
        return [
            Operation(event.name, _callers(event), _shapes(event), event.self_cpu_time_total / 1e6)
            for event in events
            if event.device_type == DeviceType.CPU
        ]
    launched = [
        Operation(kernel.name, (event.name, *_callers(event)), _shapes(event), kernel.duration / 1e6)
        for event in events
        if event.device_type == DeviceType.CPU
        for kernel in event.kernels
    ]
    return [*launched, *_without_callers(events, launched)]


def _without_callers(events: Sequence[Any], launched: Sequence[Operation]) -> list[Operation]:
    """Return the kernels that no recorded operation launched, added up by name."""
    seconds: dict[str, float] = defaultdict(float)
    for event in events:
        if event.device_type != DeviceType.CPU and not getattr(event, "is_user_annotation", False):
            seconds[event.name] += event.time_range.elapsed_us() / 1e6
    for operation in launched:
        seconds[operation.name] -= operation.seconds
    # Times are rounded to microseconds.
    return [Operation(name, (), (), left) for name, left in seconds.items() if left > 1e-6]


def _callers(event: Any) -> tuple[str, ...]:
    callers = []
    caller = event.cpu_parent
    while caller is not None:
        callers.append(caller.name)
        caller = caller.cpu_parent
    return tuple(callers)


def _shapes(event: Any) -> tuple[tuple[int, ...], ...]:
    # An input that is not a tensor has an empty shape; a list of tensors has a list of shapes.
    return tuple(tuple(shape) for shape in event.input_shapes or () if all(isinstance(side, int) for side in shape))
