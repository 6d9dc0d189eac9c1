"""With any recipe and pictures, a run ends with a finite picture of the right size, or with one clear line."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.errors import ImpastoError
from impasto.picture import Picture
from impasto.recipe import INITS, LBFGS, Adam, Inputs, Recipe, Style, vgg_layers
from impasto.recipe.terms import (
    Content,
    Gram,
    Histogram,
    Laplacian,
    MeanCovariance,
    Patches,
    Photorealism,
    Term,
    Terms,
    TotalVariation,
    Wasserstein,
)
from impasto.vgg import network
from impasto.vgg.network import VGG
from tests.conftest import SMALL_LAYERS

CPU = torch.device("cpu")
MOST = 200_000  # pixels: a run of these takes about a second

weights = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-6, 1e6))
layers = st.dictionaries(
    st.sampled_from(list(vgg_layers.layers(SMALL_LAYERS))), st.floats(1e-3, 1e3), min_size=1, max_size=3
)
losses = st.one_of(
    st.builds(Content, layers, st.sampled_from(["literal", "mean", "relative", "normalized"])),
    st.builds(Gram, layers, st.sampled_from(["literal", "mean", "relative"])),
    st.builds(MeanCovariance, layers),
    st.builds(Wasserstein, layers, st.sampled_from(["mean", "relative"])),
    st.builds(Histogram, layers),
    st.builds(Patches, layers, st.integers(1, 5)),
    st.builds(Laplacian, st.integers(1, 64)),
    st.just(Photorealism()),
    st.builds(TotalVariation, st.sampled_from(["squared", "absolute", "sum"])),
)
optimizers = st.one_of(
    st.builds(
        LBFGS,
        history=st.integers(1, 9),
        max_step=st.floats(1e-4, 1),
        first_step=st.floats(1e-4, 1),
    ),
    st.builds(Adam, learning_rate=st.floats(1e-4, 1), beta1=st.floats(0, 0.99), average=st.floats(0, 0.99)),
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Small recipes of every kind; most of the invalid ones are drawn again."""
    try:
        return Recipe(
            size=draw(st.one_of(st.integers(16, 40), st.just("original"))),
            side=draw(st.sampled_from(["long", "short", "height"])),
            content_weight=draw(weights),
            style_weight=draw(weights),
            smoothness=draw(weights),
            style_scale=draw(st.floats(0.05, 4)),
            style_fit=draw(st.sampled_from(["area", "side", "original"])),
            init=draw(st.sampled_from(INITS)),
            seed=draw(st.integers(0, 2**63 - 1)),
            steps=tuple(draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))),
            start_size=draw(st.one_of(st.integers(16, 40), st.just("final"))),
            scale_factor=draw(st.floats(1.3, 16)),
            detail=draw(st.floats(0, 4)),
            margin=draw(st.floats(0, 0.5)),
            pooling=draw(st.sampled_from(["max", "average", "l2"])),
            padding=draw(st.sampled_from(["zeros", "replicate", "reflect", "circular"])),
            bounds=draw(st.sampled_from(["projected", "free"])),
            terms=Terms(draw(st.lists(st.builds(Term, losses, weights), min_size=1, max_size=4))),
            optimizer=draw(optimizers),
        )
    except ImpastoError:
        return Recipe(size=16, steps=(1,), terms=Content("relu1_1") + Gram("relu1_1"))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Pictures of one pixel, one row or column, one colour, or noise, with and without transparency."""
    shape = draw(st.sampled_from([(1, 1), (1, 300), (300, 1), (2, 2), (16, 16), (17, 40), (33, 20)]))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    kind = draw(st.sampled_from(["black", "white", "one", "noise", "edge"]))
    pixels = {
        "black": np.zeros((3, *shape)),
        "white": np.ones((3, *shape)),
        "one": np.broadcast_to(generator.random((3, 1, 1)), (3, *shape)),
        "noise": generator.random((3, *shape)),
        "edge": np.broadcast_to(np.arange(shape[1]) % 2, (3, *shape)),
    }[kind]
    alpha = draw(st.sampled_from([None, 0.0, 0.5]))
    values = None if alpha is None else np.full(shape, alpha, np.float32)
    return Picture(np.array(pixels, np.float32), alpha=values)


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


def few(run: Run, scene: Scene) -> bool:
    """Whether a run is small enough for a test."""
    canvases = [scene.canvas_size(scale) for scale in run.scales]
    return max([height * width for height, width in canvases] + [scene.style_pixels(s) for s in run.scales]) <= MOST


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(recipes(), pictures(), st.lists(pictures(), min_size=1, max_size=2))
def test_a_run_ends_well(recipe: Recipe, content: Picture, styles: list[Picture]) -> None:
    try:
        scene = Scene(
            Inputs(content, tuple(map(Style, styles))),
            recipe,
            CPU,
        )
        run = Run(scene)
        if not few(run, scene):
            return
        for _ in run:
            pass
        found = run.picture()
    except ImpastoError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert message.isprintable()
        return
    assert np.isfinite(found.pixels).all()
    assert found.pixels.min() >= 0
    assert found.pixels.max() <= 1
    assert (found.height, found.width) == (run.scales[-1].height, run.scales[-1].width)
    assert (found.alpha is None) == (content.alpha is None)
