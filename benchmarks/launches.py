"""The operations and bytes of a step on CUDA, counted on PyTorch's meta device: an estimate that needs no GPU.

The meta device has shapes, dtypes and memory layouts, but no values. impasto is made to choose the code paths that it
chooses on CUDA in bfloat16. cuDNN's fused convolution, which the meta device lacks, is counted as one operation.
"""

import argparse
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from impasto.engine import optimizers
from impasto.engine.networks import load_network
from impasto.engine.objective import Objective
from impasto.ops import moments, numerics
from impasto.recipe import Recipe, presets
from impasto.vgg import layers

META = torch.device("meta")


class Ones(TorchDispatchMode):
    """Returns ones where code reads values, which the meta device does not have."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        target = kwargs.get("device")
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return torch.ones((), dtype=args[0].dtype).item()
        if func is torch.ops.aten._to_copy.default and args[0].is_meta and str(target) == "cpu":
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        return func(*args, **kwargs)


class Count(TorchDispatchMode):
    """Counts the operations that would launch a kernel, and the bytes that they read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.launches = 0
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        storages = {leaf.untyped_storage()._cdata for leaf in read}
        is_in_place = func._schema.is_mutable
        is_view = not is_in_place and all(leaf.untyped_storage()._cdata in storages for leaf in made)
        if made and not is_view and "empty" not in func._schema.name:
            self.launches += 1
            self.bytes += sum(leaf.numel() * leaf.element_size() for leaf in (*read, *made))
        return result


def convolve_relu(
    x: Tensor, weight: Tensor, bias: Tensor, stride: object, padding: tuple[int, int], *rest: object
) -> Tensor:
    """Replace cuDNN's fused function by one operation."""
    return F.conv2d(x, weight, bias, padding=padding)


def count(recipe: Recipe, side: int, *, fused: bool, mixed: bool) -> dict[str, float]:
    """Return launches and bytes of the third step on a square canvas.

    Args:
        recipe: its terms and optimizer.
        side: of the canvas in pixels, its margin included.
        fused: whether convolution and ReLU are one operation.
        mixed: whether sums of bfloat16 features are computed without a float32 copy.

    """
    network = load_network(recipe, torch.device("cpu"), torch.bfloat16, "default").to(META)
    image = torch.empty(1, 3, side, side, device=META)
    optimizer = optimizers.build(recipe.optimizer, projected=recipe.bounds == "projected")
    channels_last: Callable[..., Tensor] = lambda tensor, method: tensor.contiguous(  # noqa: E731
        memory_format=torch.channels_last
    )
    with ExitStack() as stack:
        stack.enter_context(patch.object(layers, "to_fast_layout", channels_last))
        stack.enter_context(patch.object(layers, "fuses_relu", lambda x: fused))
        stack.enter_context(
            patch.object(moments, "has_mixed_products", lambda tensor: mixed and numerics.is_half(tensor.dtype))
        )
        stack.enter_context(patch.object(torch, "cudnn_convolution_relu", convolve_relu))
        ones = Ones()  # type: ignore[no-untyped-call]
        with ones:
            objective = Objective(network, recipe, image, [(image, 1.0)])
            for _ in range(2):
                image = optimizer.step(image, objective.evaluate(image))
        with ones, Count() as counted:
            optimizer.step(image, objective.evaluate(image))
    return {"side": side, "launches": counted.launches, "gigabytes": counted.bytes / 1e9}


def main(given: list[str]) -> None:
    """Print a line for each size and path."""
    parser = argparse.ArgumentParser(prog="scripts/bench launches", description=__doc__)
    parser.add_argument("--sizes", default="128,256,512,1024", help="sides of the canvas in pixels")
    options = parser.parse_args(given)
    recipe = presets.get("default")
    for side in map(int, options.sizes.split(",")):
        for fused, mixed in ((False, False), (True, False), (False, True), (True, True)):
            row = count(recipe, side, fused=fused, mixed=mixed)
            print(json.dumps({"fused": fused, "mixed": mixed, **row}))
