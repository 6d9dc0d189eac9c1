"""Conversions of weights between programs, with each program's objective written from its own equations."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto import losses
from impasto.errors import RecipeError
from impasto.ops.moments import moments
from impasto.recipe import Recipe, conventions
from impasto.recipe.conventions import CONVENTIONS, Conversion, Size, Weights, named
from impasto.recipe.terms import STYLE_LAYERS, LayeredLoss
from tests.conftest import PROJECT

Array = np.ndarray
# Simonyan and Zisserman 2015, table 1.
CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
# Odd at every pooling, so that rounding has an effect.
ODD = Size(37, 45)


def grid(layer: str, size: Size, rounds: str) -> tuple[int, int]:
    height, width = size
    for _ in range(int(layer[4]) - 1):
        height, width = ((height + 1) // 2, (width + 1) // 2) if rounds == "up" else (height // 2, width // 2)
    return height, width


def features(layers: set[str], size: Size, rounds: str, seed: int) -> dict[str, Array]:
    """Rectified features, (channels, positions), in float64."""
    generator = np.random.default_rng(seed)
    return {
        layer: generator.normal(0.3, 1, (CHANNELS[int(layer[4])], np.prod(grid(layer, size, rounds)))).clip(0)
        for layer in sorted(layers)
    }


def gram(f: Array) -> Array:
    return np.asarray(np.einsum("ik,jk->ij", f, f))


# Each program's objective, as a function of the features of image, photo and style, content layer, weights, pixels.


def paper(x: dict[str, Array], p: dict[str, Array], a: dict[str, Array], at: str, weights: Weights, hw: int) -> float:
    content = 0.5 * ((x[at] - p[at]) ** 2).sum()
    style = 0.0
    for layer, factor in weights.style_layers:
        n, m = x[layer].shape
        e = ((gram(x[layer]) - gram(a[layer])) ** 2).sum() / (4 * n**2 * m**2)
        style += factor / len(weights.style_layers) * e
    return float(weights.content_weight * content + weights.style_weight * style)


def neural_style(
    x: dict[str, Array], p: dict[str, Array], a: dict[str, Array], at: str, weights: Weights, hw: int
) -> float:
    total = weights.content_weight * ((x[at] - p[at]) ** 2).mean()
    for layer, _ in weights.style_layers:
        difference = gram(x[layer]) / x[layer].size - gram(a[layer]) / a[layer].size
        total += weights.style_weight * (difference**2).mean()
    return float(total)


def gatys(x: dict[str, Array], p: dict[str, Array], a: dict[str, Array], at: str, weights: Weights, hw: int) -> float:
    total = weights.content_weight * ((x[at] - p[at]) ** 2).mean()
    for layer, factor in weights.style_layers:
        n, m = x[layer].shape
        difference = gram(x[layer]) / m - gram(a[layer]) / a[layer].shape[1]
        total += factor * weights.style_weight / n**2 * (difference**2).mean()
    return float(total)


def layer_mean(
    x: dict[str, Array], p: dict[str, Array], a: dict[str, Array], at: str, weights: Weights, hw: int
) -> float:
    """The objective of Gatys' notebook with the normalised network, of pystiche, and of impasto's mean forms."""
    content = ((x[at] - p[at]) ** 2).mean()
    scores = []
    for layer, factor in weights.style_layers:
        difference = gram(x[layer]) / x[layer].shape[1] - gram(a[layer]) / a[layer].shape[1]
        scores.append(factor * (difference**2).mean())
    return float(weights.content_weight * content + weights.style_weight * np.mean(scores))


def keras(x: dict[str, Array], p: dict[str, Array], a: dict[str, Array], at: str, weights: Weights, hw: int) -> float:
    content = 0.5 * ((x[at] - p[at]) ** 2).sum()
    style = 0.0
    for layer, _ in weights.style_layers:
        n = x[layer].shape[0]
        style += 0.2 * ((gram(x[layer]) - gram(a[layer])) ** 2).sum() / (4.0 * n**2 * hw**2)
    return float(weights.content_weight * content + weights.style_weight * style)


Objective = Callable[[dict[str, Array], dict[str, Array], dict[str, Array], str, Weights, int], float]
OBJECTIVES: dict[str, Objective] = {
    "paper": paper,
    "neural-style": neural_style,
    "neural-style-pt": neural_style,
    "gatys-notebook": gatys,
    "gatys-notebook-normalised": layer_mean,
    "pystiche": layer_mean,
    "keras-seed": keras,
    "impasto": layer_mean,
}


def scene(
    name: str, size: Size = ODD, rounds: str | None = None
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Features of image, photo and style, all of one size, as in the equations of the paper and the Keras program."""
    convention = named(name)
    layers = {convention.content_layer, "relu4_2", *STYLE_LAYERS}
    x, p, a = (features(layers, size, rounds or convention.rounds, seed) for seed in range(3))
    return x, p, a


def in_means(
    objective: conventions.Coefficients, x: dict[str, Array], p: dict[str, Array], a: dict[str, Array]
) -> float:
    at = objective.content_layer
    total = objective.content * ((x[at] - p[at]) ** 2).mean()
    for layer, coefficient in objective.style:
        difference = gram(x[layer]) / x[layer].shape[1] - gram(a[layer]) / a[layer].shape[1]
        total += coefficient * (difference**2).mean()
    return float(total)


def own(name: str, **given: Any) -> Weights:
    given = {"content_weight": 3.0, "style_weight": 70.0} if name == "impasto" and not given else given
    return conventions.weights_of(named(name), **given)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_coefficients_give_what_the_programs_own_equations_give(name: str) -> None:
    convention, (x, p, a) = named(name), scene(name)
    factors = dict.fromkeys(STYLE_LAYERS, 1.0)
    if convention.weighs_layers:
        factors = {layer: 0.5 + index for index, layer in enumerate(STYLE_LAYERS)}
    weights = conventions.weights_of(convention, 2.5, 40.0, tv_weight=0.0, style_layers=factors)
    expected = OBJECTIVES[name](x, p, a, convention.content_layer, weights, ODD.height * ODD.width)
    assert in_means(conventions.coefficients(convention, weights, ODD), x, p, a) == pytest.approx(expected, rel=1e-12)


def pairs() -> list[tuple[str, str]]:
    """Pairs of programs whose conversion is exact: the target has weights for layers, or both weigh them alike."""
    weighing = {"paper", "gatys-notebook", "gatys-notebook-normalised", "pystiche", "impasto"}
    as_johnson = {"neural-style", "neural-style-pt", "gatys-notebook"}
    return [
        (source, target)
        for source in CONVENTIONS
        for target in CONVENTIONS
        if source == target or target in weighing or (target.startswith("neural-style") and source in as_johnson)
    ]


@pytest.mark.parametrize(("source", "target"), pairs())
def test_exact_conversions_give_the_same_total_in_both_programs_equations(source: str, target: str) -> None:
    # Both have features of the same positions, because the rounding of odd sizes does not depend on weights.
    size = Size(48, 32)
    done = conventions.convert(named(source), named(target), own(source), size)
    assert not any("style layers" in departure for departure in done.departures)
    x, p, a = scene(source, size)
    at, pixels = done.weights.content_layer, size.height * size.width
    before = OBJECTIVES[source](x, p, a, at, done.given, pixels)
    assert OBJECTIVES[target](x, p, a, at, done.weights, pixels) == pytest.approx(before, rel=1e-12)


def test_content_of_the_keras_seed_is_424() -> None:
    seed = named("keras-seed")
    found = conventions.coefficients(seed, own("keras-seed"), Size(607, 910))
    # 8e-4 x 512 x 56 x 37 / 2
    assert found.content == pytest.approx(424.3456)
    assert found.style[0][1] == pytest.approx(0.16 / 4)
    assert found.style[4][1] == pytest.approx(0.16 / 4 * (56 * 37 / (607 * 910)) ** 2)


def test_neural_style_by_hand() -> None:
    done = conventions.convert(named("neural-style"), named("impasto"), own("neural-style"), Size(512, 512))
    # 100 x (1/64^2 + 1/128^2 + 1/256^2 + 2/512^2) = 100 x 86 / 2^18; the layers are as 64 : 16 : 4 : 1 : 1.
    assert done.weights.content_weight == 5
    assert done.weights.style_weight == pytest.approx(8600 / 2**18)
    shares = [factor / 5 for _, factor in done.weights.style_layers]
    assert shares == pytest.approx([64 / 86, 16 / 86, 4 / 86, 1 / 86, 1 / 86])


def test_impasto_evaluates_neural_style_pt() -> None:
    source = named("neural-style-pt")
    size = Size(32, 48)
    done = conventions.convert(source, named("impasto"), own("neural-style-pt"), size)
    assert done.exact
    x, p, a = scene("neural-style-pt", size, "up")
    image = np.random.default_rng(5).random((3, *size))
    pixels = 256 * image
    expected = neural_style(x, p, a, "relu4_2", done.given, 0)
    expected += 1e-3 * (np.abs(np.diff(pixels, axis=1)).sum() + np.abs(np.diff(pixels, axis=2)).sum())
    recipe = Recipe.from_table(done.recipe_lines())
    assert evaluated(recipe, x, p, a, image) == pytest.approx(expected, rel=1e-12)


def evaluated(recipe: Recipe, x: dict[str, Array], p: dict[str, Array], a: dict[str, Array], image: Array) -> float:
    """The recipe's objective, computed with impasto's losses."""
    size = image.shape[1:]

    def maps(f: dict[str, Array], layer: str) -> torch.Tensor:
        return torch.from_numpy(f[layer].reshape(1, -1, *grid(layer, Size(*size), "up")))

    total = 0.0
    for term in recipe.terms:
        loss, weight = losses.build(term.loss), recipe.weight_of(term)
        if not isinstance(term.loss, LayeredLoss):
            assert isinstance(loss, losses.ImageLoss)
            total += weight * loss.value(torch.from_numpy(image)[None]).item()
            continue
        for layer, share in term.loss.layers:
            if isinstance(loss, losses.PositionLoss):
                target = loss.target(maps(p, layer))
                value = loss.value(loss.statistic(maps(x, layer), loss.target_features(target), target), target)
            else:
                assert isinstance(loss, losses.MomentLoss)
                value = loss.value(moments(maps(x, layer)), loss.target(moments(maps(a, layer))))
            total += weight * share * value.item()
    return total


def test_smoothness_of_neural_style_has_its_gradient_but_for_the_last_row_and_column() -> None:
    side = 17
    done = conventions.convert(named("neural-style"), named("impasto"), own("neural-style"), Size(side, side))
    assert done.weights.tv_form == "squared"
    assert done.departures == ("total variation: neural-style leaves out the last row and column",)
    image = np.random.default_rng(1).random((3, side, side))
    # TVLoss:updateGradInput on pixels times 256; another 256 brings the gradient to pixels in [0, 1].
    pixels, expected = 256 * image, np.zeros_like(image)
    dx = pixels[:, :-1, :-1] - pixels[:, :-1, 1:]
    dy = pixels[:, :-1, :-1] - pixels[:, 1:, :-1]
    expected[:, :-1, :-1] += dx + dy
    expected[:, :-1, 1:] -= dx
    expected[:, 1:, :-1] -= dy
    expected *= 1e-3 * 256
    (term,) = [t for t in Recipe.from_table(done.recipe_lines()).terms if t.loss.kind == "smoothness"]
    variable = torch.from_numpy(image)[None].requires_grad_()
    loss = losses.build(term.loss)
    assert isinstance(loss, losses.ImageLoss)
    value = done.weights.tv_weight * loss.value(variable)
    (slope,) = torch.autograd.grad(value, variable)
    assert slope[0, :, :-1, :-1].numpy() == pytest.approx(expected[:, :-1, :-1], rel=1e-9)


def test_the_two_neural_styles_have_different_total_variations() -> None:
    done = conventions.convert(named("neural-style"), named("neural-style-pt"), own("neural-style"), Size(512, 512))
    assert done.weights.tv_form is None
    assert "another kind" in done.departures[0]


def test_features_k_times_as_large() -> None:
    x, p, a = scene("pystiche", Size(32, 32))
    convention, k = named("pystiche"), 57.0
    done = conventions.convert(convention, named("gatys-notebook"), own("pystiche"), Size(32, 32), feature_scale=k)
    before = layer_mean(x, p, a, "relu4_2", done.given, 0)
    x, p, a = ({layer: k * value for layer, value in f.items()} for f in (x, p, a))
    assert gatys(x, p, a, "relu4_2", done.weights, 0) == pytest.approx(before, rel=1e-9)


sizes = st.builds(Size, st.integers(16, 3000), st.integers(16, 3000))
amounts = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
names = st.sampled_from(list(CONVENTIONS))


@st.composite
def conversions(draw: st.DrawFn) -> Conversion:
    source, target = named(draw(names)), named(draw(names))
    chosen = draw(st.lists(st.sampled_from([*STYLE_LAYERS, "relu3_4", "conv2_2"]), min_size=1, max_size=7, unique=True))
    factors = {layer: draw(st.floats(0.01, 100)) if source.weighs_layers else 1.0 for layer in chosen}
    tv_weight = draw(amounts) if source.variations else 0.0
    weights = conventions.weights_of(
        source, draw(amounts), draw(amounts), tv_weight=tv_weight, content_layer="relu3_1", style_layers=factors
    )
    return conventions.convert(source, target, weights, draw(sizes))


def near(expected: object) -> object:
    return pytest.approx(expected, rel=1e-9, abs=0)


@given(conversions())
def test_a_conversion_keeps_the_coefficients_or_says_what_it_does_not_keep(done: Conversion) -> None:
    before = conventions.coefficients(done.source, done.given, done.size)
    after = conventions.coefficients(done.target, done.weights, done.size)
    assert after.content == near(before.content)
    # The sum is always the same.
    assert sum(dict(after.style).values()) == near(sum(dict(before.style).values()))
    if done.target.weighs_layers:
        assert dict(after.style) == near(dict(before.style))
    if not any("total variation" in departure for departure in done.departures):
        assert (after.form, after.smoothness) == (before.form, near(before.smoothness))
    if done.exact:
        assert dict(after.style) == near(dict(before.style))


@given(conversions())
def test_there_and_back_again_where_exact(done: Conversion) -> None:
    if any("style layers" in departure for departure in done.departures):
        return
    back = conventions.convert(done.target, done.source, done.weights, done.size).weights
    # A factor common to all layers may be in the style weight instead, so the program's own form is compared.
    given = conventions.convert(done.source, done.source, done.given, done.size).weights
    assert (back.content_weight, back.style_weight) == near((given.content_weight, given.style_weight))
    assert dict(back.style_layers) == near(dict(given.style_layers))
    if done.weights.tv_form is not None:
        assert (back.tv_form, back.tv_weight) == (given.tv_form, near(given.tv_weight))


@given(conversions())
def test_what_goes_into_a_recipe_is_a_recipe(done: Conversion) -> None:
    done = conventions.convert(done.source, named("impasto"), done.given, done.size)
    table = {**done.recipe_lines(), "network": "vgg19"}
    if not any(term["weight"] for term in table["terms"]) or not (done.given.content_weight or done.given.style_weight):
        return
    recipe = Recipe.from_table(table)
    assert recipe.content_weight == done.weights.content_weight
    assert recipe.style_weight == done.weights.style_weight


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ("512", None, Size(512, 512)),
        ("512", "4:3", Size(384, 512)),
        ("512", "3:4", Size(512, 384)),
        ("300", "1.5:1", Size(200, 300)),
        ("512x384", None, Size(384, 512)),
        ("512X384", None, Size(384, 512)),
    ],
)
def test_sizes_as_people_write_them(size: str, aspect: str | None, expected: Size) -> None:
    assert conventions.picture_size(size, aspect) == expected


@pytest.mark.parametrize(
    ("size", "aspect"),
    [("", None), ("x", None), ("5e2", None), ("9" * 5000, None), ("512x384", "4:3"), ("512", "4/3"), ("512", "0:1")],
)
def test_other_sizes_are_refused(size: str, aspect: str | None) -> None:
    with pytest.raises(RecipeError, match=r"^(size|aspect) "):
        conventions.picture_size(size, aspect)


def test_factors_of_layers_that_a_program_cannot_weigh_are_refused() -> None:
    with pytest.raises(RecipeError, match="cannot weigh single layers"):
        own("neural-style", style_layers={"relu1_1": 2.0})
    with pytest.raises(RecipeError, match="reads no recipes"):
        conventions.convert(named("paper"), named("pystiche"), own("paper"), ODD).recipe_lines()


def test_the_page_is_up_to_date() -> None:
    script = PROJECT / "scripts" / "conventions"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
