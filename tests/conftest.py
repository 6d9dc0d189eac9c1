"""Shared by the tests: small seeded networks and pictures, and run-time checks of the shapes in type hints."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Every machine uses the same convolutions, also in programs that tests start, because pictures are compared bit for
# bit.
os.environ.setdefault("IMPASTO_CONVOLUTIONS", "winograd")

# Before the first import of the modules to be checked.
install_import_hook(
    [
        "impasto.ops.moments",
        "impasto.ops.guidance",
        "impasto.losses",
        "impasto.vgg.network",
        "impasto.ops.resample",
        "impasto.engine.initial",
        "impasto.engine.optimizers",
        "impasto.ops.color_transfer",
        "impasto.ops.oklab",
    ],
    "beartype.beartype",
)

from impasto.engine import networks  # noqa: E402
from impasto.engine.objective import Evaluation, Objective  # noqa: E402
from impasto.picture import Picture  # noqa: E402
from impasto.recipe.vgg_layers import Convolution  # noqa: E402
from impasto.system.cache import Cache  # noqa: E402
from impasto.vgg.network import VGG  # noqa: E402

# On a busy machine the duration of an example has no meaning.
settings.register_profile("impasto", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("impasto")

PROJECT = Path(__file__).resolve().parent.parent
SAMPLES = PROJECT / "examples" / "pictures"

SMALL_LAYERS = tuple(Convolution(f"conv{block}_1", 3 if block == 1 else 6, 6) for block in range(1, 6))
# Two blocks of two convolutions, as in a VGG; every layer has another number of channels.
PAIRED_LAYERS = (
    Convolution("conv1_1", 3, 4),
    Convolution("conv1_2", 4, 5),
    Convolution("conv2_1", 5, 6),
    Convolution("conv2_2", 6, 7),
    Convolution("conv3_1", 7, 8),
)


def small_tensors(convolutions: tuple[Convolution, ...], seed: int = 0) -> dict[str, torch.Tensor]:
    """Seeded weights of a size that keeps features of order 1."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in convolutions:
        scale = (2 / (9 * layer.in_channels)) ** 0.5
        shape = (layer.out_channels, layer.in_channels, 3, 3)
        tensors[f"{layer.name}.weight"] = torch.randn(shape, generator=generator) * scale
        tensors[f"{layer.name}.bias"] = torch.rand(layer.out_channels, generator=generator) * 0.1
    return tensors


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of whole programs first, because a long module that starts last leaves the other workers idle."""
    long = [str(PROJECT / "tests" / folder) for folder in ("cli", "web")]
    items.sort(key=lambda item: not str(item.path).startswith(tuple(long)))


@pytest.fixture
def small_network() -> Callable[..., VGG]:
    """A maker of networks with five blocks of one convolution of six channels each."""

    def make(**settings: Any) -> VGG:
        return VGG(SMALL_LAYERS, small_tensors(SMALL_LAYERS), [0.5, 0.4, 0.3], **settings)

    return make


@pytest.fixture(autouse=True)
def networks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test an empty cache of loaded networks."""
    monkeypatch.setattr(networks, "LOADED_NETWORKS", Cache(2))


@pytest.fixture
def picture() -> Callable[..., Picture]:
    """A maker of seeded pictures with structure at several scales."""

    def make(height: int = 32, width: int = 40, seed: int = 0) -> Picture:
        generator = np.random.default_rng(seed)
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        waves = [np.sin(generator.uniform(3, 25) * x + generator.uniform(3, 25) * y + c) for c in range(3)]
        pixels = 0.5 + 0.3 * np.stack(waves) + generator.normal(0, 0.05, (3, height, width))
        return Picture(np.clip(pixels, 0, 1).astype(np.float32))

    return make


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Exception], None]:
    """What makes one evaluation of the loss raise an error; they are counted over all pictures, from 0."""

    def inject(number: int, error: Exception) -> None:
        evaluate, calls = Objective.evaluate, itertools.count()

        def faulty(self: Objective, image: torch.Tensor, *, gradient: bool = True) -> Evaluation:
            if next(calls) == number:
                raise error
            return evaluate(self, image, gradient=gradient)

        monkeypatch.setattr(Objective, "evaluate", faulty)

    return inject


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test, and no proxy for the loopback address."""
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMPASTO_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "weights"
