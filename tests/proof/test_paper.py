"""The losses and gradients are those of the paper: compared with a second implementation of its equations."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from impasto.engine.objective import Objective, gradient_of
from impasto.losses.content import Content as ContentLoss
from impasto.losses.gram import Gram as GramLoss
from impasto.ops.moments import moments
from impasto.recipe import Recipe, presets, vgg_layers
from impasto.recipe.terms import Content, Gram, LayeredLoss, Term, TotalVariation
from impasto.vgg import network, weights
from impasto.vgg.network import VGG
from tests.conftest import SMALL_LAYERS, small_tensors
from tests.proof import paper
from tests.proof.plain_vgg import Array, Convolution, LayerLoss, Part, PlainVGG, Pooling

MEAN = [0.5, 0.4, 0.3]
# Every block has another number of channels, and second convolutions where the two programs compare content.
UNEVEN_LAYERS = (
    vgg_layers.Convolution("conv1_1", 3, 4),
    vgg_layers.Convolution("conv2_1", 4, 5),
    vgg_layers.Convolution("conv3_1", 5, 6),
    vgg_layers.Convolution("conv4_1", 6, 7),
    vgg_layers.Convolution("conv4_2", 7, 7),
    vgg_layers.Convolution("conv5_1", 7, 8),
    vgg_layers.Convolution("conv5_2", 8, 8),
)
CONVOLUTIONS = [pytest.param(SMALL_LAYERS, id="small"), pytest.param(UNEVEN_LAYERS, id="uneven")]
POOLINGS = ["average", "max"]
ALPHA, BETA = 0.02, 7.0
FIVE = dict.fromkeys(paper.STYLE_LAYERS, 1 / 5)
# Every layer has another weight.
UNEQUAL = dict(zip(paper.STYLE_LAYERS, (0.3, 0.1, 0.25, 0.2, 0.15), strict=True))
SELECTIONS: dict[str, tuple[list[str], dict[str, float]]] = {
    **{layer: ([], {layer: 1.0}) for layer in paper.STYLE_LAYERS},
    "style": ([], FIVE),
    "content": (["relu4_1"], {}),
    "everything": (["relu2_1", "relu4_1"], UNEQUAL),
}
PARTS: dict[str, Callable[[Array], LayerLoss]] = {
    "content": paper.content_part,
    "style": lambda a: paper.style_part(a, own_size=False),
    "style-own-size": lambda a: paper.style_part(a, own_size=True),
    "mean-content": paper.mean_content_part,
    "mean-gram": paper.mean_gram_part,
    "keras-style": lambda a: paper.keras_style_part(a, 1000),
}


def image(seed: int, height: int, width: int) -> Array:
    """A random picture, (3, H, W) in [0, 1], whose values are exact in float32 too."""
    return np.random.default_rng(seed).random((3, height, width), np.float32).astype(np.float64)


def tensor(picture: Array, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(picture)[None].to(dtype)


def pair(convolutions: tuple[vgg_layers.Convolution, ...], pooling: Pooling) -> tuple[VGG, PlainVGG]:
    """impasto's network and the plain one, with the same seeded weights."""
    tensors = small_tensors(convolutions)
    plain = [
        Convolution(c.rectified, *(tensors[f"{c.name}.{kind}"].double().numpy() for kind in ("weight", "bias")))
        for c in convolutions
    ]
    return VGG(convolutions, tensors, MEAN, pooling=pooling), PlainVGG(plain, np.array(MEAN), pooling)


def embedded(pooling: Pooling) -> tuple[VGG, PlainVGG]:
    """impasto's VGG-16, and the plain one with the published weights, for BGR in 0..255."""
    spec = weights.EMBEDDED["vgg16"]
    tensors = weights.load(spec)
    layers = [
        Convolution(c.rectified, *(tensors[f"{c.name}.{kind}"].double().numpy() for kind in ("weight", "bias")))
        for c in spec.convolutions
        if c.name <= "conv5_2"
    ]
    plain = PlainVGG(layers, np.array(spec.mean_bgr), pooling)
    return network.load("vgg16", pooling=pooling).to(dtype=torch.float64), plain


def caffe(picture: Array) -> Array:
    """Convert to BGR in 0..255, the input of the authors' Caffe network."""
    return 255 * picture[::-1]


def check(objective: Objective, x: torch.Tensor, expected: tuple[float, Array], bound: float) -> None:
    """Assert that value and gradient have a small relative error (the gradient in the Euclidean norm)."""
    value, slope = expected
    found = objective.evaluate(x)
    assert found.gradient is not None
    assert found.gradient.dtype == x.dtype
    assert value > 0
    assert abs(found.loss - value) < bound * value
    assert np.linalg.norm(found.gradient[0].double().numpy() - slope) < bound * np.linalg.norm(slope)


def literal(content: list[str], style: Mapping[str, float], alpha: float = ALPHA, beta: float = BETA) -> Recipe:
    terms = [alpha * Content(dict.fromkeys(content, 1.0), "literal")] if content else []
    terms += [beta * Gram(dict(style), "literal")] if style else []
    return Recipe(terms=sum(terms[1:], terms[0]))


@pytest.mark.parametrize("convolutions", CONVOLUTIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(32, 48), (37, 21)], ids=["even", "odd"])
@pytest.mark.parametrize("style_size", [None, (45, 26)], ids=["one-size", "other-size"])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_total_and_gradient_are_the_papers(
    selection: str,
    style_size: tuple[int, int] | None,
    size: tuple[int, int],
    pooling: Pooling,
    convolutions: tuple[vgg_layers.Convolution, ...],
) -> None:
    vgg, plain = pair(convolutions, pooling)
    content, style = SELECTIONS[selection]
    x, p, a = image(1, *size), image(2, *size), image(3, *(style_size or size))
    own_size = style_size is not None
    parts = paper.paper_parts(plain, p, a, alpha=ALPHA, beta=BETA, content=content, style=style, own_size=own_size)
    expected = plain.loss(x, parts)
    for dtype, bound in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        painting = [(tensor(a, dtype), 1.0)]
        objective = Objective(vgg.to(dtype=dtype), literal(content, style), tensor(p, dtype), painting)
        check(objective, tensor(x, dtype), expected, bound)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(
    ("content", "style"),
    # The total, and its two smallest parts alone, which would not show in the total of noise pictures.
    [(["relu4_2"], FIVE), (["relu4_2"], {}), ([], {"relu5_1": 1.0})],
    ids=["everything", "content", "relu5_1"],
)
def test_total_and_gradient_are_the_papers_with_the_embedded_network(
    content: list[str], style: dict[str, float], pooling: Pooling
) -> None:
    vgg, plain = embedded(pooling)
    x, p, a = image(1, 40, 49), image(2, 40, 49), image(3, 40, 49)
    # Gatys et al. 2016, section 3: alpha / beta = 1e-3, content at conv4_2.
    parts = paper.paper_parts(plain, caffe(p), caffe(a), alpha=1e-3, beta=1, content=content, style=style)
    value, slope = plain.loss(caffe(x), parts)
    photo, painting, start = (tensor(picture, torch.float64) for picture in (p, a, x))
    objective = Objective(vgg, literal(content, style, alpha=1e-3, beta=1), photo, [(painting, 1.0)])
    # By RGB in [0, 1], like ours: 255 dL / d(bgr) with the channels reversed.
    check(objective, start, (value, 255 * slope[::-1]), 1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(32, 48), (37, 21)], ids=["even", "odd"])
@pytest.mark.parametrize("layer", paper.STYLE_LAYERS)
def test_per_position_is_equation_4_to_rounding(layer: str, size: tuple[int, int], pooling: Pooling) -> None:
    vgg, plain = pair(UNEVEN_LAYERS, pooling)
    x, a = image(1, *size), image(3, *size)
    # The Gram matrices without normalisation, as in equation 4.
    expected = paper.style_loss(plain.forward(x)[0][layer], plain.forward(a)[0][layer])
    recipe = Recipe(terms=1.0 * Gram({layer: 1.0}, "literal"))
    pictures = [tensor(picture, torch.float64) for picture in (x, a)]
    objective = Objective(vgg.to(dtype=torch.float64), recipe, pictures[0], [(pictures[1], 1.0)])
    assert objective.evaluate(pictures[0], gradient=False).loss == pytest.approx(expected, rel=1e-12, abs=0)


def test_equations_2_and_6_are_the_slopes_at_the_layer() -> None:
    # By the responses before the ReLU, half of which are negative; there both equations give 0.
    generator = np.random.default_rng(0)
    response, photo, painting = generator.normal(size=(3, 5, 6, 7))
    f, p, a = (np.maximum(z, 0) for z in (response, photo, painting))
    content, style = ContentLoss(Content(form="literal")), GramLoss(Gram(form="literal"))
    photo, painting = (torch.from_numpy(target)[None] for target in (p, a))
    matched = content.target(photo)
    pairs: list[tuple[Callable[[torch.Tensor], torch.Tensor], Array]] = [
        (
            lambda z: content.value(content.statistic(z, content.target_features(matched), matched), matched),
            paper.content_slope(f, p),
        ),
        (lambda z: style.value(moments(z), style.target(moments(painting))), paper.style_slope(f, a)),
    ]
    for value, slope in pairs:
        z = torch.from_numpy(response)[None].requires_grad_()
        value(z.relu()).backward()
        assert (slope == 0).mean() == pytest.approx(0.5, abs=0.1)
        assert z.grad is not None
        np.testing.assert_allclose(z.grad[0].numpy(), slope, rtol=1e-12, atol=1e-12 * np.abs(slope).max())


PRESETS: dict[str, Callable[[PlainVGG, Array, Array], list[Part]]] = {
    # Gatys et al. 2016, section 3: figure 4's alpha / beta of 1e-3, content at conv4_2, w_l = 1/5.
    "gatys-2016": functools.partial(paper.paper_parts, alpha=1e-3, beta=1, content=["relu4_2"], style=FIVE),
    "neural-style": paper.neural_style_parts,
    "keras": paper.keras_parts,
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_weigh_every_layer_so(name: str) -> None:
    recipe = presets.get(name)
    assert recipe.pooling != "l2"
    vgg, plain = embedded(recipe.pooling)
    # Poolings do not round maps of 32 x 48 pixels, neither up, like ours, nor down, like Keras'.
    x, p, a = (image(seed, 32, 48) for seed in (1, 2, 3))
    photo, painting, start = (tensor(picture, torch.float64) for picture in (p, a, x))
    features = plain.forward(caffe(x))[0]
    expected: list[Any] = [
        (layer, pytest.approx(weight * part(features[layer])[0], rel=1e-6, abs=0))
        for layer, weight, part in PRESETS[name](plain, caffe(p), caffe(a))
    ]
    found = []
    for term in recipe.terms:
        if not isinstance(term.loss, LayeredLoss):
            continue
        for layer, share in term.loss.layers:
            alone = Term(dataclasses.replace(term.loss, layers=((layer, share),)), term.weight)
            objective = Objective(vgg, recipe.replace(terms=[alone]), photo, [(painting, 1.0)])
            found.append((layer, objective.evaluate(start, gradient=False).loss))
    assert found == expected


class _Evaluated(torch.autograd.Function):
    """An objective as a function for torch's gradcheck, with the gradient that `evaluate` returns."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, objective: Objective) -> torch.Tensor:
        found = objective.evaluate(x)
        ctx.save_for_backward(gradient_of(found))
        return torch.tensor(found.loss, dtype=x.dtype)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return slope * ctx.saved_tensors[0], None


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradient_of_the_whole_objective_is_that_of_its_value(
    pooling: Pooling, small_network: Callable[..., VGG]
) -> None:
    # Weights that make the gradients of the three terms equally large.
    recipe = Recipe(terms=Content("relu4_1", "literal") + 500 * Gram(form="literal") + 1e-6 * TotalVariation("sum"))
    x, p, a = (tensor(image(seed, 8, 9), torch.float64) for seed in (1, 2, 3))
    objective = Objective(small_network(pooling=pooling).to(dtype=torch.float64), recipe, p, [(a, 1.0)])
    gradient = objective.evaluate(x).gradient
    assert gradient is not None
    size = float(gradient.abs().max())
    evaluate: Callable[[torch.Tensor, Objective], torch.Tensor] = _Evaluated.apply
    # Each of the 216 derivatives, to a millionth of the largest.
    assert torch.autograd.gradcheck(
        lambda image: evaluate(image, objective), x.requires_grad_(), atol=1e-6 * size, rtol=0
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(32, 48), (37, 21)], ids=["even", "odd"])
@pytest.mark.parametrize("part", PARTS)
def test_the_derivatives_by_hand_are_right(part: str, size: tuple[int, int], pooling: Pooling) -> None:
    # The second implementation alone: the change of its value along a line.
    _, plain = pair(UNEVEN_LAYERS, pooling)
    x, target = image(1, *size), image(2, *size)
    features = plain.forward(target)[0]["relu4_1"]

    def total(picture: Array) -> tuple[float, Array]:
        return plain.loss(picture, [("relu4_1", 1.0, PARTS[part](features))])

    step = 1e-7 * np.random.default_rng(4).normal(size=x.shape)
    difference = (total(x + step)[0] - total(x - step)[0]) / 2
    assert (total(x)[1] * step).sum() == pytest.approx(difference, rel=1e-6, abs=0)


def test_the_derivative_of_the_variation_by_hand_is_right() -> None:
    x, step = image(1, 9, 8), 1e-7 * (image(2, 9, 8) - 0.5)
    difference = (paper.total_variation(x + step)[0] - paper.total_variation(x - step)[0]) / 2
    assert (paper.total_variation(x)[1] * step).sum() == pytest.approx(difference, rel=1e-6, abs=0)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(32, 48), (37, 21)], ids=["even", "odd"])
@pytest.mark.parametrize(
    "variation_weight", [0.0, 1e-3]
)  # the variation of noise pictures is much larger than the other terms
def test_neural_style_total_is_its_own(variation_weight: float, size: tuple[int, int], pooling: Pooling) -> None:
    vgg, plain = pair(UNEVEN_LAYERS, pooling)
    x, p, a = image(1, *size), image(2, *size), image(3, 45, 26)
    channels = {layer: vgg_layers.layers(UNEVEN_LAYERS)[layer].channels for layer in paper.STYLE_LAYERS}
    per_layer = {layer: 1 / n**2 for layer, n in channels.items()}
    terms = 5 * Content("relu4_2", "mean") + 100 * Gram(per_layer, "mean") + variation_weight * TotalVariation("sum")
    photo, painting, start = (tensor(picture, torch.float64) for picture in (p, a, x))
    objective = Objective(vgg.to(dtype=torch.float64), Recipe(terms=terms), photo, [(painting, 1.0)])
    value, slope = plain.loss(x, paper.neural_style_parts(plain, p, a))
    variation, variation_slope = paper.total_variation(x)
    # neural_style.py: -tv_weight 1e-3
    expected = (value + variation_weight * variation, slope + variation_weight * variation_slope)
    check(objective, start, expected, 1e-10)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(32, 48), (37, 21)], ids=["even", "odd"])
def test_keras_total_is_its_own(size: tuple[int, int], pooling: Pooling) -> None:
    vgg, plain = pair(UNEVEN_LAYERS, pooling)
    x, p, a = image(1, *size), image(2, *size), image(3, *size)
    strides = {layer: vgg_layers.layers(UNEVEN_LAYERS)[layer].stride for layer in paper.STYLE_LAYERS}
    # (M_l / (H W))^2 turns our M_l into the program's H W. The sizes are such that its maps are not rounded down.
    positions = {layer: -(-size[0] // s) * -(-size[1] // s) for layer, s in strides.items()}
    per_layer = {layer: (m / (size[0] * size[1])) ** 2 / 5 for layer, m in positions.items()}
    terms = 8e-4 * Content("relu5_2", "literal") + 0.8 * Gram(per_layer, "literal")
    photo, painting, start = (tensor(picture, torch.float64) for picture in (p, a, x))
    objective = Objective(vgg.to(dtype=torch.float64), Recipe(terms=terms), photo, [(painting, 1.0)])
    check(objective, start, plain.loss(x, paper.keras_parts(plain, p, a)), 1e-10)
