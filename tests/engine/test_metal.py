"""Devices without float64, such as Metal and many of Intel's GPUs, simulated on PyTorch's meta device.

These tests have not run on such a device. The meta device has shapes, dtypes and devices but no values: tensors that
are copied from it to the CPU are all ones.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from impasto.engine import color_modes, optimizers
from impasto.engine.checkpoints import container
from impasto.engine.objective import Objective
from impasto.ops.guidance import Region, Source
from impasto.recipe import LBFGS, Adam, Recipe, presets
from impasto.recipe.terms import MeanCovariance
from impasto.vgg.network import VGG
from tests.modes import DispatchMode

META = torch.device("meta")


class WithoutFloat64(DispatchMode):
    """Refuses float64 tensors on the meta device, and allows copies from it to the CPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        target = kwargs.get("device")
        if func is torch.ops.aten._to_copy.default and target is not None and args[0].is_meta:  # noqa: SLF001
            if torch.device(target).type == "cpu":
                return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        elif func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:  # noqa: SLF001
            return args[0].new_ones((), device="cpu").item()
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            assert not (isinstance(leaf, torch.Tensor) and leaf.is_meta and leaf.dtype == torch.float64), func
        return result


def small(recipe: Recipe) -> Recipe:
    """Return the recipe with layers of the small network."""
    if recipe.compares("style"):
        recipe = recipe.with_layers("style", ("relu1_1", "relu2_1"))
    return recipe.with_layers("content", "relu3_1") if recipe.compares("content") else recipe


def on_meta(objective: Objective, vgg: VGG, monkeypatch: pytest.MonkeyPatch) -> Objective:
    """Return a copy of an objective on the meta device, with its targets, which were computed on the CPU."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "__deepcopy__", lambda tensor, memo: tensor.detach().to("meta"))
        moved = object.__new__(Objective)
        vars(moved).update(copy.deepcopy(vars(objective), {id(vgg): vgg.to(META)}))
    return moved


@pytest.mark.parametrize("name", presets.NAMES)
def test_no_step_of_a_preset_uses_float64(
    name: str, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(presets.get(name))
    vgg = small_network(pooling=recipe.pooling)
    photo, style = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 40, 56)
    objective = on_meta(Objective(vgg, recipe, photo, [(style, 1.0)]), vgg, monkeypatch)
    image = photo.to(META)
    optimizer = optimizers.build(recipe.optimizer, projected=recipe.bounds == "projected")
    with WithoutFloat64():
        for _ in range(2):
            image = optimizer.step(image, objective.evaluate(image))
    assert image.is_meta


def test_regions_and_lightness_are_measured_on_the_cpu(small_network: Callable[..., VGG]) -> None:
    image = torch.rand(1, 3, 32, 32, device=META)
    regions = [Region(torch.rand(1, 1, 32, 32, device=META), (Source(0),)) for _ in range(2)]
    with WithoutFloat64():
        assert color_modes.style_colors(image, image, Recipe(colors="luminance")).is_meta
        Objective(
            small_network().to(META),
            Recipe(terms=1.0 * MeanCovariance("relu1_1")),
            image,
            [(image, 1.0)],
            regions=regions,
        )


@pytest.mark.parametrize("settings", [LBFGS(history=3), Adam()], ids=["lbfgs", "adam"])
def test_checkpoints_are_read(settings: LBFGS | Adam, small_network: Callable[..., VGG], tmp_path: Path) -> None:
    image = torch.rand(1, 3, 16, 16)
    objective = Objective(small_network(), Recipe(terms=1.0 * MeanCovariance("relu1_1")), image, [(image.flip(2), 1.0)])
    optimizer, other = optimizers.build(settings), optimizers.build(settings)
    for _ in range(3):
        image = optimizer.step(image, objective.evaluate(image))
    container.write(tmp_path / "state", optimizer.state())
    assert any(tensor.dtype == torch.float64 for tensor in optimizer.state().values())
    with WithoutFloat64():
        state = container.read(tmp_path / "state", META)
        other.load(state)
    assert all(tensor.is_meta for name, tensor in other.state().items() if name != "damping")
    # On devices that have float64 it stays float64.
    for name, tensor in container.read(tmp_path / "state", torch.device("cpu")).items():
        assert torch.equal(tensor, optimizer.state()[name])
