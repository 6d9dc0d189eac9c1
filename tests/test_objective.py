from collections.abc import Callable

import pytest
import torch

from impasto.moments import moments
from impasto.network import VGG
from impasto.objective import Objective
from impasto.recipe import Recipe
from impasto.terms import Content, Gram, MeanCovariance, Smoothness, Wasserstein

TERMS = (
    0.3 * Content({"relu3_1": 0.5, "relu4_1": 0.5})
    + 2 * Gram({"relu1_1": 0.2, "relu2_1": 0.3}, "literal")
    + MeanCovariance(["rgb", "relu2_1"])
    + Wasserstein(["relu3_1"])
    + 0.1 * Smoothness()
)


def image(seed: int, height: int = 24, width: int = 20) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_terms_are_weighted_and_reported_one_by_one(small_network: Callable[..., VGG]) -> None:
    vgg = small_network()
    recipe = Recipe(content_weight=2, style_weight=3, smoothness=5, terms=TERMS)
    found = Objective(vgg, recipe, image(1), [(image(2, 30, 30), 1.0)]).evaluate(image(3))
    assert len(found.terms) == 5
    assert sum(found.terms.values()) == pytest.approx(found.loss, rel=1e-6)
    x, photo, style = image(3), image(1), image(2, 30, 30)
    # By hand: the second term is 3 x 2 x sum_l w_l E_l.
    f, a = vgg(x, ["relu1_1", "relu2_1"]), vgg(style, ["relu1_1", "relu2_1"])
    expected = 6 * sum(
        weight * (moments(f[layer]).gram - moments(a[layer]).gram).square().sum().item() / (4 * 36)
        for layer, weight in (("relu1_1", 0.2), ("relu2_1", 0.3))
    )
    assert found.terms["gram relu1_1 relu2_1"] == pytest.approx(expected, rel=1e-5)
    f, p = vgg(x, ["relu3_1", "relu4_1"]), vgg(photo, ["relu3_1", "relu4_1"])
    relative = [((f[name] - p[name]).square().sum() / p[name].square().sum()).item() for name in f]
    assert found.terms["content relu3_1 relu4_1"] == pytest.approx(2 * 0.3 * 0.5 * sum(relative), rel=1e-5)


def test_the_gradient_is_that_of_the_loss(small_network: Callable[..., VGG]) -> None:
    vgg = small_network(pooling="average").double()
    recipe = Recipe(terms=TERMS)
    objective = Objective(vgg, recipe, image(1).double(), [(image(2).double(), 1.0)])
    x, step = image(3).double(), 1e-5 * (image(4).double() - 0.5)
    gradient = objective.evaluate(x).gradient
    assert gradient is not None
    difference = (
        objective.evaluate(x + step, gradient=False).loss - objective.evaluate(x - step, gradient=False).loss
    ) / 2
    assert float((gradient * step).sum()) == pytest.approx(difference, rel=1e-4)


def test_what_weighs_nothing_is_not_computed(small_network: Callable[..., VGG]) -> None:
    vgg = small_network()
    asked: list[set[str]] = []
    forward = vgg.forward
    vgg.forward = lambda x, layers, padding=None: asked.append(set(layers)) or forward(x, layers, padding)
    recipe = Recipe(content_weight=0, terms=Content("relu5_1") + Gram({"relu1_1": 1, "relu4_1": 0}) + Smoothness())
    found = Objective(vgg, recipe, image(1), [(image(2), 1.0)]).evaluate(image(3))
    assert set.union(*asked) == {"relu1_1"}
    assert set(found.terms) == {"gram relu1_1 relu4_1", "smoothness"}


def test_a_style_blended_with_itself_is_that_style(small_network: Callable[..., VGG]) -> None:
    vgg, recipe = small_network(), Recipe(terms=TERMS)
    alone = Objective(vgg, recipe, image(1), [(image(2), 1.0)]).evaluate(image(3))
    twice = Objective(vgg, recipe, image(1), [(image(2), 3.0), (image(2), 5.0)]).evaluate(image(3))
    assert twice.loss == pytest.approx(alone.loss, rel=1e-4)


def test_an_objective_of_the_image_alone_needs_no_network(small_network: Callable[..., VGG]) -> None:
    vgg = small_network()
    vgg.forward = None
    found = Objective(vgg, Recipe(terms=1.0 * Smoothness()), image(1), [(image(2), 1.0)]).evaluate(image(3))
    assert found.loss > 0
