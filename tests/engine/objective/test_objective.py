from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import losses
from impasto.engine.objective import Evaluation, Objective, gradient_of
from impasto.errors import UsageError
from impasto.ops import guidance, resample
from impasto.ops.guidance import Region, Source
from impasto.ops.moments import moments
from impasto.recipe import Recipe
from impasto.recipe.inputs import Part
from impasto.recipe.terms import (
    Content,
    Gram,
    Histogram,
    Laplacian,
    Loss,
    MeanCovariance,
    Patches,
    Photorealism,
    Terms,
    TotalVariation,
    Wasserstein,
)
from impasto.recipe.vgg_layers import Convolution
from impasto.vgg import layers, network
from impasto.vgg.network import VGG, Padding
from impasto.vgg.weights import activations
from tests.conftest import PAIRED_LAYERS, small_tensors
from tests.modes import DispatchMode

TERMS = (
    0.3 * Content({"relu3_1": 0.5, "relu4_1": 0.5})
    + 2 * Gram({"relu1_1": 0.2, "relu2_1": 0.3}, "literal")
    + MeanCovariance(["rgb", "relu2_1"])
    + Wasserstein(["relu3_1"])
    + 0.1 * TotalVariation()
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
    vgg = small_network(pooling="average").to(dtype=torch.float64)
    recipe = Recipe(terms=TERMS)
    objective = Objective(vgg, recipe, image(1).double(), [(image(2).double(), 1.0)])
    x, step = image(3).double(), 1e-5 * (image(4).double() - 0.5)
    gradient = objective.evaluate(x).gradient
    assert gradient is not None
    difference = (
        objective.evaluate(x + step, gradient=False).loss - objective.evaluate(x - step, gradient=False).loss
    ) / 2
    assert float((gradient * step).sum()) == pytest.approx(difference, rel=1e-4)


def test_what_weighs_nothing_is_not_computed(
    small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    vgg = small_network()
    asked: list[set[str]] = []
    walk = vgg.walk

    def spy(x: Tensor, names: Sequence[str], *others: Any, **more: Any) -> Any:
        asked.append(set(names))
        return walk(x, names, *others, **more)

    monkeypatch.setattr(vgg, "walk", spy)
    recipe = Recipe(content_weight=0, terms=Content("relu5_1") + Gram({"relu1_1": 1, "relu4_1": 0}) + TotalVariation())
    found = Objective(vgg, recipe, image(1), [(image(2), 1.0)]).evaluate(image(3))
    assert set.union(*asked) == {"relu1_1"}
    assert set(found.terms) == {"gram relu1_1 relu4_1", "smoothness"}


def test_a_style_blended_with_itself_is_that_style(small_network: Callable[..., VGG]) -> None:
    vgg, recipe = small_network(), Recipe(terms=TERMS)
    alone = Objective(vgg, recipe, image(1), [(image(2), 1.0)]).evaluate(image(3))
    twice = Objective(vgg, recipe, image(1), [(image(2), 3.0), (image(2), 5.0)]).evaluate(image(3))
    assert twice.loss == pytest.approx(alone.loss, rel=1e-4)


def test_an_objective_of_the_image_alone_needs_no_network(
    small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    vgg = small_network()
    monkeypatch.setattr(vgg, "walk", None)
    found = Objective(vgg, Recipe(terms=1.0 * TotalVariation()), image(1), [(image(2), 1.0)]).evaluate(image(3))
    assert found.loss > 0


FOUR = {"rgb": 0.4, "relu1_1": 0.1, "conv3_1": 0.2, "relu4_1": 0.3}
LOSSES = [
    *(Content(FOUR, form) for form in ("literal", "mean", "relative", "normalized")),
    *(Gram(FOUR, form) for form in ("literal", "mean", "relative")),
    MeanCovariance(FOUR),
    *(Wasserstein(FOUR, form) for form in ("mean", "relative")),
    *(TotalVariation(form) for form in ("squared", "absolute", "sum")),
    Laplacian(),
    Photorealism(),
]
EVERY_LOSS = pytest.mark.parametrize("loss", [pytest.param(x, id=f"{x.kind}-{getattr(x, 'form', '')}") for x in LOSSES])
POOLINGS = pytest.mark.parametrize("pooling", ["max", "average", "l2"])
# Pictures and tiles whose sizes are not multiples of the stride, 8, or of each other; the last tile is larger than the
# picture.
SIZES = [((45, 61), 16), ((48, 40), 24), ((67, 21), 17), ((9, 50), 1), ((1, 40), 16), ((33, 30), 100)]


def objective(
    networks: VGG | Sequence[VGG],
    terms: Terms,
    size: tuple[int, int],
    padding: Padding = "zeros",
    tile: int | None = None,
) -> Objective:
    """An objective of a photo of `size` and two paintings of other sizes, in float64."""
    styles = [(image(2, 37, 52).double(), 1.0), (image(5, 60, 19).double(), 0.5)]
    return Objective(networks, Recipe(terms=terms, padding=padding), image(1, *size).double(), styles, tile)


def assert_same(found: Evaluation, expected: Evaluation) -> None:
    torch.testing.assert_close(found.numbers, expected.numbers, rtol=1e-10, atol=0)
    assert found.labels == expected.labels
    # Relative to the largest gradient, because some pixels have almost none.
    torch.testing.assert_close(
        gradient_of(found), gradient_of(expected), rtol=0, atol=1e-10 * float(gradient_of(expected).abs().max())
    )


@EVERY_LOSS
@POOLINGS
@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect"])
def test_tiles_say_what_the_whole_says(
    loss: Loss, pooling: str, padding: Padding, small_network: Callable[..., VGG]
) -> None:
    vgg = small_network(pooling=pooling, padding=padding).to(dtype=torch.float64)
    for size, tile in SIZES:
        start = image(3, *size).double()
        whole, tiled = (objective(vgg, 1.0 * loss, size, padding, size_of_tile) for size_of_tile in (None, tile))
        expected = whole.evaluate(start)
        if min(size) >= 3 or not isinstance(loss, Photorealism):  # it has no 3 x 3 window in a picture of one row
            assert expected.loss > 0
            assert gradient_of(expected).any()
        assert_same(tiled.evaluate(start), expected)


BOTH = (
    0.3 * Content(["relu2_1", "relu3_1"])
    + 0.2 * Content(["relu2_1"], "normalized")
    + MeanCovariance(["rgb", "relu1_1", "relu2_1"])
    + 0.5 * Wasserstein("relu2_1")
    + 0.1 * TotalVariation()
    + 0.2 * Laplacian()
    + 5 * Photorealism()
)


@pytest.mark.parametrize("tile", [None, 24])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_bands_change_nothing(padding: Padding, tile: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every large block is computed in bands, and so are the moments of the layers inside.
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    tensors = small_tensors(PAIRED_LAYERS)
    vgg = VGG(PAIRED_LAYERS, tensors, [0.5, 0.4, 0.3], padding=padding).to(dtype=torch.float64)
    terms, start = Content("relu3_1") + Gram(["rgb", "relu1_1", "relu2_1"]), image(3, 45, 61).double()
    expected = objective(vgg, terms, (45, 61), padding).evaluate(start)
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40)
    called: list[object] = []
    block = layers.convolve_block
    monkeypatch.setattr(layers, "convolve_block", lambda *given: called.append(given) or block(*given))
    assert_same(objective(vgg, terms, (45, 61), padding, tile).evaluate(start), expected)
    assert called


@pytest.mark.parametrize("tile", [None, 16])
def test_a_layer_may_be_compared_in_both_ways(tile: int | None, small_network: Callable[..., VGG]) -> None:
    vgg, size = small_network().to(dtype=torch.float64), (45, 61)
    start, photo, style = image(3, *size).double(), image(1, *size).double(), image(2, 37, 52).double()
    found = Objective(vgg, Recipe(terms=BOTH), photo, [(style, 1.0)], tile).evaluate(start)
    f, p, a = (vgg(picture, ["relu2_1"])["relu2_1"] for picture in (start, photo, style))
    content, wasserstein = losses.build(BOTH[1].loss), losses.build(BOTH[3].loss)
    assert isinstance(content, losses.PositionLoss)
    assert isinstance(wasserstein, losses.MomentLoss)
    target = content.target(p)
    by_hand = content.value(content.statistic(f, content.target_features(target), target), target)
    assert found.terms["content relu2_1"] == pytest.approx(0.2 * by_hand.item(), rel=1e-9)
    by_hand = wasserstein.value(moments(f), wasserstein.target(moments(a)))
    assert found.terms["wasserstein relu2_1"] == pytest.approx(0.5 * by_hand.item(), rel=1e-9)


def test_tiles_of_a_real_network_in_float32() -> None:
    # Rounding decides which of two nearly equal numbers is the maximum, so gradients differ more than losses.
    photo, style, start = (resample.resize(found, 90, 110) for found in activations.photographs()[:3])
    vgg, recipe = network.load("vgg16", padding="reflect"), Recipe()
    whole, tiled = (Objective(vgg, recipe, photo, [(style, 1.0)], tile).evaluate(start) for tile in (None, 48))
    assert tiled.terms == pytest.approx(whole.terms, rel=1e-4)
    assert float((gradient_of(tiled) - gradient_of(whole)).norm()) < 0.02 * float(gradient_of(whole).norm())


def test_tiles_of_several_terms_and_styles(small_network: Callable[..., VGG]) -> None:
    vgg, start = small_network(padding="reflect").to(dtype=torch.float64), image(3, 45, 61).double()
    expected = objective(vgg, BOTH + TERMS, (45, 61), "reflect").evaluate(start)
    assert len(expected.labels) == len(BOTH + TERMS)
    assert_same(objective(vgg, BOTH + TERMS, (45, 61), "reflect", 16).evaluate(start), expected)


def test_a_picture_that_goes_on_is_not_tiled(small_network: Callable[..., VGG]) -> None:
    with pytest.raises(UsageError, match=r"other side.*tiles") as raised:
        objective(small_network(padding="circular"), TERMS, (45, 61), "circular", 16)
    assert "\n" not in str(raised.value)


@POOLINGS
@pytest.mark.parametrize("count", [2, 3])
def test_several_networks_share_the_tiles(
    count: int, pooling: str, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = [small_network(pooling=pooling).to(dtype=torch.float64) for _ in range(count)]
    start = image(3, 45, 61).double()
    expected = objective(networks[0], TERMS, (45, 61), tile=16).evaluate(start)
    shared = objective(networks, TERMS, (45, 61), tile=16)
    walked = [0] * count
    for index, vgg in enumerate(networks):

        def walk(*given: Any, index: int = index, walk: Callable[..., object] = vgg.walk, **more: Any) -> object:
            walked[index] += 1
            return walk(*given, **more)

        monkeypatch.setattr(vgg, "walk", walk)
    found = shared.evaluate(start)
    # The tiles are added up in their order, whichever network has computed them.
    assert torch.equal(found.numbers, expected.numbers)
    assert torch.equal(gradient_of(found), gradient_of(expected))
    # 4 x 3 tiles, forward and backward, shared evenly. The features of the last tile of each network are kept from the
    # forward pass, so that tile is computed once.
    assert walked == [24 // count - 1] * count


@pytest.mark.parametrize("count", [1, 2])
def test_tiles_that_are_held_are_seen_once_and_change_nothing(
    count: int, small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = [small_network().to(dtype=torch.float64) for _ in range(count)]
    photo, style, start = image(1, 45, 61).double(), image(2, 37, 52).double(), image(3, 45, 61).double()
    seen = 0
    for vgg in networks:

        def walk(*given: Any, walk: Callable[..., object] = vgg.walk, **more: Any) -> object:
            nonlocal seen
            seen += 1
            return walk(*given, **more)

        monkeypatch.setattr(vgg, "walk", walk)
    expected = None
    for held in (0, 1, 3, 7, 12, 40):
        judge = Objective(networks, Recipe(terms=BOTH), photo, [(style, 1.0)], 16, cached_tiles=held)
        seen = 0
        found = judge.evaluate(start)
        # 4 x 3 tiles, forward and backward; `held` tiles on each device are computed once.
        assert seen == 24 - min(12, held * count)
        expected = expected or found
        assert torch.equal(gradient_of(found), gradient_of(expected))
        torch.testing.assert_close(found.numbers, expected.numbers, rtol=1e-12, atol=0)


def test_several_networks_of_one_tile_are_one(small_network: Callable[..., VGG]) -> None:
    networks = [small_network().to(dtype=torch.float64) for _ in range(2)]
    start = image(3, 45, 61).double()
    expected = objective(networks[0], TERMS, (45, 61)).evaluate(start)
    for tile in (None, 100):
        found = objective(networks, TERMS, (45, 61), tile=tile).evaluate(start)
        assert torch.equal(gradient_of(found), gradient_of(expected))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("tile", [None, 16])
def test_without_a_gradient(tile: int | None, count: int, small_network: Callable[..., VGG]) -> None:
    networks = [small_network().to(dtype=torch.float64) for _ in range(count)]
    judge, start = objective(networks, TERMS, (45, 61), tile=tile), image(3, 45, 61).double()
    found = judge.evaluate(start, gradient=False)
    assert found.gradient is None
    assert found.is_finite
    # Eigenvalues are computed by another method if no gradient is needed.
    assert found.terms == pytest.approx(judge.evaluate(start).terms, rel=1e-12)
    for tensor in (start, found.numbers, judge.evaluate(start).numbers, gradient_of(judge.evaluate(start))):
        assert not tensor.requires_grad
        assert tensor.grad_fn is None


@pytest.mark.parametrize("tile", [None, 16])
def test_the_image_is_only_looked_at(tile: int | None, small_network: Callable[..., VGG]) -> None:
    judge = objective(small_network().to(dtype=torch.float64), TERMS, (45, 61), tile=tile)
    start = image(3, 45, 61).double().requires_grad_()
    before = start.detach().clone()
    first, second = judge.evaluate(start), judge.evaluate(start)
    assert torch.equal(start, before)
    assert start.requires_grad
    assert start.grad is None
    # Each evaluation has its own gradient.
    assert gradient_of(first).data_ptr() != gradient_of(second).data_ptr()
    assert torch.equal(gradient_of(first), gradient_of(second))


@pytest.mark.parametrize("tile", [None, 16])
def test_what_is_no_number_is_noticed(tile: int | None, small_network: Callable[..., VGG]) -> None:
    terms = Content("relu3_1") + Gram("relu2_1") + TotalVariation()
    judge = objective(small_network().to(dtype=torch.float64), terms, (45, 61), tile=tile)
    start = image(3, 45, 61).double()
    assert judge.evaluate(start).is_finite
    start[..., 20, 20] = torch.nan
    assert not judge.evaluate(start).is_finite


WHOLE = [Histogram({"rgb": 0.2, "relu1_1": 0.3, "relu2_1": 0.5}), Patches({"relu2_1": 0.4, "relu3_1": 0.6}, patch=3)]
EVERY_WHOLE = pytest.mark.parametrize("loss", WHOLE, ids=["histogram", "patches"])


@EVERY_WHOLE
def test_what_needs_the_whole_picture_is_not_tiled(loss: Loss, small_network: Callable[..., VGG]) -> None:
    with pytest.raises(UsageError, match=rf"{loss.kind} term.*whole picture.*tiles") as raised:
        objective(small_network(), Content("relu3_1") + loss, (45, 61), tile=16)
    assert "\n" not in str(raised.value)
    # A term of weight 0 does not need the whole picture.
    objective(small_network().to(dtype=torch.float64), Content("relu3_1") + 0 * loss, (45, 61), tile=16)


@EVERY_WHOLE
@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_features_are_compared_layer_by_layer(
    loss: Histogram | Patches, padding: Padding, small_network: Callable[..., VGG]
) -> None:
    vgg, size = small_network(padding=padding).to(dtype=torch.float64), (45, 61)
    # Other terms at the same layers change nothing.
    terms = 0.7 * loss + MeanCovariance(["rgb", "relu2_1"]) + Content(["relu2_1", "relu3_1"])
    start = image(3, *size).double()
    found = objective(vgg, terms, size, padding).evaluate(start)
    ours = vgg(start, [name for name, _ in loss.layers])
    around: Padding | None = "reflect" if padding == "circular" else None
    theirs = [
        (vgg(image(2, 37, 52).double(), ours, around), 2 / 3),
        (vgg(image(5, 60, 19).double(), ours, around), 1 / 3),
    ]
    expected, built = 0.0, losses.build(loss)
    assert isinstance(built, losses.FeatureLoss)
    for layer, weight in loss.layers:
        shares = [(features[layer], share) for features, share in theirs]
        target = built.target(shares, ours[layer].shape[2] * ours[layer].shape[3])
        expected += 0.7 * weight * built.value(ours[layer], target).item()
    label = next(label for label in found.terms if label.startswith(loss.kind))
    assert found.terms[label] == pytest.approx(expected, rel=1e-9)
    alone = objective(vgg, 1.0 * MeanCovariance(["rgb", "relu2_1"]), size, padding).evaluate(start)
    assert found.terms["mean-covariance rgb relu2_1"] == pytest.approx(alone.loss, rel=1e-9)


@EVERY_WHOLE
def test_a_style_of_no_weight_takes_no_part(loss: Loss, small_network: Callable[..., VGG]) -> None:
    vgg, recipe, start = small_network(), Recipe(terms=1.0 * loss), image(3)
    alone = Objective(vgg, recipe, image(1), [(image(2), 1.0)]).evaluate(start)
    beside = Objective(vgg, recipe, image(1), [(image(3), 0.0), (image(2), 4.0)]).evaluate(start)
    assert torch.equal(gradient_of(alone), gradient_of(beside))
    with_itself = Objective(vgg, recipe, image(1), [(image(3), 1.0), (image(2), 4.0)]).evaluate(start)
    assert with_itself.loss < 0.9 * alone.loss


@EVERY_WHOLE
def test_a_gradient_through_the_network(loss: Loss, small_network: Callable[..., VGG]) -> None:
    vgg = small_network(pooling="average").to(dtype=torch.float64)
    terms = loss + 0.5 * Laplacian() + 20 * Photorealism()
    judge, x = objective(vgg, terms, (24, 20)), image(3).double()
    step = 1e-6 * (image(4).double() - 0.5)
    ahead, behind = (judge.evaluate(x + sign * step, gradient=False).loss for sign in (1, -1))
    assert float((gradient_of(judge.evaluate(x)) * step).sum()) == pytest.approx((ahead - behind) / 2, rel=1e-4)


@EVERY_WHOLE
def test_several_networks_and_the_whole_picture(loss: Loss, small_network: Callable[..., VGG]) -> None:
    networks = [small_network().to(dtype=torch.float64) for _ in range(2)]
    start = image(3, 45, 61).double()
    expected = objective(networks[0], 1.0 * loss, (45, 61)).evaluate(start)
    assert torch.equal(gradient_of(objective(networks, 1.0 * loss, (45, 61)).evaluate(start)), gradient_of(expected))


def test_a_style_is_known_for_what_was_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The moments of a block in bands differ in their last digits from those of its whole features, which patches need.
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40)
    vgg = VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5, 0.4, 0.3]).to(dtype=torch.float64)
    plain, both = 1.0 * Gram(["relu1_1", "relu2_1"]), Gram(["relu1_1", "relu2_1"]) + Patches("relu1_1")
    start = image(3, 45, 61).double()
    first = objective(vgg, both, (45, 61)).evaluate(start)
    objective(vgg, plain, (45, 61)).evaluate(start)
    again = objective(vgg, both, (45, 61)).evaluate(start)
    vgg.known_styles.clear()
    assert torch.equal(gradient_of(again), gradient_of(first))
    assert torch.equal(gradient_of(objective(vgg, both, (45, 61)).evaluate(start)), gradient_of(first))


class Largest(DispatchMode):
    """Records the number of elements of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def test_nothing_tiled_is_larger_than_the_picture(small_network: Callable[..., VGG]) -> None:
    vgg, start = small_network().to(dtype=torch.float64), image(3, 128, 128).double()
    largest = {}
    for tile in (None, 32):
        judge = objective(vgg, TERMS, (128, 128), tile=tile)
        with Largest() as seen:
            judge.evaluate(start)
        largest[tile] = seen.numbers
    # The first block has six channels, and the picture three.
    assert largest[None] >= 6 * 128 * 128
    assert largest[32] <= 3 * 128 * 128


# Regions, strength and protected pixels. The network has one block of two convolutions, so features depend on 2 pixels
# around, and a mask is blurred by 2 pixels.
SHALLOW = (Convolution("conv1_1", 3, 4), Convolution("conv1_2", 4, 5))
REGIONAL = (
    0.3 * Content(["relu2_1", "relu3_1"])
    + 2 * Gram({"relu1_1": 0.2, "relu2_1": 0.3}, "literal")
    + MeanCovariance(["rgb", "relu2_1"])
    + 0.5 * Wasserstein(["relu3_1"])
    + 0.1 * TotalVariation()
)
SIZE = (45, 61)


def half(height: int = 45, width: int = 61, *, soft: bool = True) -> Tensor:
    """A mask of the left half, with a soft edge of a few pixels."""
    x = torch.arange(width, dtype=torch.float64)
    edge = ((width / 2 - x) / 4 + 0.5).clamp(0, 1) if soft else (x < width // 2).double()
    return edge.expand(1, 1, height, width).clone()


def divided(
    networks: VGG | Sequence[VGG],
    regions: Sequence[Region],
    terms: Terms = REGIONAL,
    *,
    weights: tuple[float, float] = (1.0, 1.0),
    tile: int | None = None,
    strength: float = 1.0,
    protected: Tensor | None = None,
    padding: Padding = "zeros",
) -> Objective:
    styles = [(image(2, 37, 52).double(), weights[0]), (image(5, 60, 19).double(), weights[1])]
    recipe = Recipe(terms=terms, strength=strength, padding=padding)
    return Objective(networks, recipe, image(1, *SIZE).double(), styles, tile, regions=regions, protected=protected)


def both(mask: Tensor, **masks: Tensor) -> list[Region]:
    return [
        Region(mask, (Source(0, masks.get("first")),)),
        Region(1 - mask, (Source(1, masks.get("second")),)),
    ]


@pytest.fixture
def double(small_network: Callable[..., VGG]) -> VGG:
    return small_network(padding="reflect").to(dtype=torch.float64)


def test_a_region_of_the_whole_picture_is_no_region(double: VGG) -> None:
    start = image(3, *SIZE).double()
    sources = (Source(0), Source(1, torch.ones(1, 1, 60, 19, dtype=torch.float64)))
    expected = divided(double, []).evaluate(start)
    for mask in (None, torch.ones(1, 1, *SIZE, dtype=torch.float64)):
        assert_same(divided(double, [Region(mask, sources)]).evaluate(start), expected)


def test_a_region_has_the_statistics_of_its_positions(double: VGG) -> None:
    mask, start = half(), image(3, *SIZE).double()
    terms = 1.0 * Gram("relu2_1", "mean")
    found = divided(double, both(mask), terms, weights=(1.0, 3.0)).evaluate(start)
    layers_of_masks = [
        guidance.propagate_mask(share, double.convolutions, ["relu2_1"])["relu2_1"] for share in (mask, 1 - mask)
    ]
    ours = double(start, ["relu2_1"])["relu2_1"].flatten(2)[0]
    expected, areas = 0.0, [float(mask.mean()) * 1.0, float(1 - mask.mean()) * 3.0]
    for share, area, style in zip(layers_of_masks, areas, (image(2, 37, 52), image(5, 60, 19)), strict=True):
        theirs = double(style.double(), ["relu2_1"])["relu2_1"].flatten(2)[0]
        weighted = (ours * share.flatten(2)[0]) @ ours.T / share.sum()
        difference = weighted - theirs @ theirs.T / theirs.shape[1]
        expected += area / sum(areas) * float(difference.square().sum())
    normalised = divided(double, [], terms).evaluate(start).loss
    by_hand = moments(double(start, ["relu2_1"])["relu2_1"]).gram
    targets = [
        moments(double(style.double(), ["relu2_1"])["relu2_1"]).gram for style in (image(2, 37, 52), image(5, 60, 19))
    ]
    factor = normalised / float((by_hand - sum(targets) / 2).square().sum())
    assert found.loss == pytest.approx(factor * expected, rel=1e-5)


def test_regions_of_one_style_that_is_everywhere_the_same(double: VGG) -> None:
    # Both halves of a periodic picture have the statistics of the whole, so each has the loss of the whole.
    row = image(7, 45, 1).double().expand(1, 3, *SIZE).clone()
    mask = half(soft=False)
    regions = [Region(mask, (Source(0),)), Region(1 - mask, (Source(0),))]
    terms = MeanCovariance(["rgb", "relu2_1"]) + Gram("relu3_1")
    alone = divided(double, [Region(None, (Source(0),))], terms).evaluate(row)
    assert divided(double, regions, terms).evaluate(row).terms == pytest.approx(alone.terms, rel=1e-5)


def test_a_small_region_is_painted_no_stronger(double: VGG) -> None:
    # A twentieth of a uniform picture has a twentieth of the loss.
    row = image(7, 45, 1).double().expand(1, 3, *SIZE).clone()
    mask = torch.zeros(1, 1, *SIZE, dtype=torch.float64)
    mask[..., :3] = 1
    terms = 1.0 * MeanCovariance(["rgb", "relu2_1"])
    whole = divided(double, [Region(None, (Source(0),))], terms).evaluate(row).loss
    small = divided(double, [Region(mask, (Source(0),))], terms).evaluate(row).loss
    assert small == pytest.approx(whole * 3 / 61, rel=1e-3)


@pytest.mark.parametrize("side", [0, 1])
def test_a_region_does_not_feel_what_is_far_outside(side: int) -> None:
    vgg = VGG(SHALLOW, small_tensors(SHALLOW), [0.5, 0.4, 0.3]).to(dtype=torch.float64)
    terms = Gram(["rgb", "relu1_1"]) + MeanCovariance("relu1_2")
    judge = divided(vgg, both(half(soft=False)), terms, weights=(1.0 - side, 1.0 * side))
    start = image(3, *SIZE).double()
    first = judge.evaluate(start)
    # The edge is at 30, blurred by 2, and reaches features 2 pixels further. Beyond, the mask is below a millionth.
    far = (slice(36, None), slice(None, 24))[side]
    near = (slice(None, 24), slice(36, None))[side]
    changed = start.clone()
    changed[..., far] = image(8, *SIZE).double()[..., far]
    second = judge.evaluate(changed)
    assert second.loss == pytest.approx(first.loss, rel=1e-4)
    torch.testing.assert_close(
        gradient_of(second)[..., near],
        gradient_of(first)[..., near],
        rtol=0,
        atol=1e-4 * float(gradient_of(first).abs().max()),
    )
    assert float(gradient_of(first)[..., far].abs().max()) < 1e-4 * float(gradient_of(first).abs().max())


def test_what_is_masked_of_a_style_does_not_count() -> None:
    vgg = VGG(SHALLOW, small_tensors(SHALLOW), [0.5, 0.4, 0.3]).to(dtype=torch.float64)
    start, style, mask = image(3, *SIZE).double(), image(2, *SIZE).double(), half(soft=False)
    other, cut = style.clone(), style[..., :30].contiguous()
    other[..., 36:] = 0.9
    recipe = Recipe(terms=1.0 * Gram(["rgb", "relu1_1", "relu1_2"]))

    def loss(of: Tensor, mask: Tensor | None) -> float:
        source = Source(0, mask)
        return Objective(vgg, recipe, start, [(of, 1.0)], regions=[Region(None, (source,))]).evaluate(start).loss

    assert loss(other, mask) == pytest.approx(loss(style, mask), rel=1e-4)
    assert loss(other, None) != pytest.approx(loss(style, None), rel=1e-2)
    # As if the part were the whole picture, except at its new edge.
    assert loss(style, mask) == pytest.approx(loss(cut, None), rel=0.3)


@POOLINGS
@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect"])
def test_tiles_say_what_the_whole_says_of_regions(
    padding: Padding, pooling: str, small_network: Callable[..., VGG]
) -> None:
    vgg = small_network(pooling=pooling, padding=padding).to(dtype=torch.float64)
    start, regions = image(3, *SIZE).double(), both(half(), second=half(60, 19))
    for more in ({}, {"strength": 0.4}, {"protected": half().flip(3) * 0.7}):
        expected = divided(vgg, regions, **more, padding=padding).evaluate(start)
        for tile in (16, 24):
            assert_same(divided(vgg, regions, **more, tile=tile, padding=padding).evaluate(start), expected)


def test_several_networks_share_the_tiles_of_regions(small_network: Callable[..., VGG]) -> None:
    networks = [small_network().to(dtype=torch.float64) for _ in range(2)]
    start, regions = image(3, *SIZE).double(), both(half())
    expected = divided(networks[0], regions, tile=16, protected=half().flip(3)).evaluate(start)
    found = divided(networks, regions, tile=16, protected=half().flip(3)).evaluate(start)
    assert torch.equal(found.numbers, expected.numbers)
    assert torch.equal(gradient_of(found), gradient_of(expected))


@pytest.mark.parametrize(
    "more", [{}, {"strength": 0.4}, {"protected": half().flip(3)}], ids=["", "strength", "protected"]
)
def test_the_gradient_of_regions_is_that_of_the_loss(more: dict[str, Any], small_network: Callable[..., VGG]) -> None:
    vgg = small_network(pooling="average").to(dtype=torch.float64)
    judge, x = divided(vgg, both(half()), **more), image(3, *SIZE).double()
    step = 1e-6 * (image(4, *SIZE).double() - 0.5)
    ahead, behind = (judge.evaluate(x + sign * step, gradient=False).loss for sign in (1, -1))
    assert float((gradient_of(judge.evaluate(x)) * step).sum()) == pytest.approx((ahead - behind) / 2, rel=1e-4)


def test_a_region_after_a_style_of_no_weight_is_not_painted(double: VGG) -> None:
    start, mask = image(3, *SIZE).double(), half()
    found = divided(double, both(mask), weights=(1.0, 0.0), terms=REGIONAL).evaluate(start)
    alone = divided(double, [Region(mask, (Source(0),))], weights=(1.0, 0.0)).evaluate(start)
    assert found.is_finite
    assert found.terms["wasserstein relu3_1"] == pytest.approx(alone.terms["wasserstein relu3_1"] / float(mask.mean()))
    nothing = torch.zeros_like(mask)
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        found = divided(double, both(nothing), weights=weights).evaluate(start)
        assert found.is_finite
        assert (found.terms["wasserstein relu3_1"] > 0) == (weights[1] > 0)


def test_styles_speak_for_their_layers(double: VGG) -> None:
    start = image(3, *SIZE).double()
    terms = [1.0 * Gram(["relu1_1", "relu2_1"], "mean"), 1.0 * Gram(["relu3_1", "relu4_1"], "mean")]
    parts: list[tuple[Part, Part, int, int]] = [("fine", "coarse", 0, 1), ("coarse", "fine", 1, 0)]
    for kind, other, fine, coarse in parts:
        region = Region(None, (Source(0, None, kind), Source(1, None, other)))
        for each, speaking in zip(terms, (fine, coarse), strict=True):
            found = divided(double, [region], each).evaluate(start)
            assert_same(found, divided(double, [Region(None, (Source(speaking),))], each).evaluate(start))
    # A layer that no style was given for uses all of them.
    region = Region(None, (Source(0, None, "fine"), Source(1, None, "fine")))
    assert_same(divided(double, [region]).evaluate(start), divided(double, []).evaluate(start))


STRENGTHS = [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("divide", [False, True])
def test_at_strength_0_nothing_pulls_at_the_photo(
    divide: bool, padding: Padding, small_network: Callable[..., VGG]
) -> None:
    vgg = small_network(padding=padding)
    terms = Terms(REGIONAL[:3]) + TotalVariation()
    recipe = Recipe(terms=terms, strength=0, padding=padding)
    photo, mask = image(1, *SIZE), half().float()
    parts = both(mask) if divide else []
    found = Objective(vgg, recipe, photo, [(image(2), 1.0), (image(5), 1.0)], regions=parts).evaluate(photo)
    assert found.loss == 0
    assert not gradient_of(found).any()


@EVERY_WHOLE
def test_strength_reaches_what_compares_features(loss: Loss, double: VGG) -> None:
    photo, start = image(1, *SIZE).double(), image(3, *SIZE).double()
    whole = 1.0 * loss
    assert divided(double, [], whole, strength=0).evaluate(photo).loss == pytest.approx(0, abs=1e-6)
    ends = [divided(double, [], whole, strength=strength).evaluate(start).loss for strength in (0, 1)]
    between = divided(double, [], whole, strength=0.3).evaluate(start)
    assert between.loss == pytest.approx(0.7 * ends[0] + 0.3 * ends[1], rel=1e-6)
    assert len(between.terms) == 1


def test_strength_goes_from_the_photo_to_the_style(double: VGG) -> None:
    photo, terms = image(1, *SIZE).double(), 1.0 * MeanCovariance(["rgb", "relu2_1"])
    of_photo = [divided(double, [], terms, strength=each).evaluate(photo).loss for each in STRENGTHS]
    assert of_photo == sorted(of_photo)
    assert of_photo[0] == pytest.approx(0, abs=1e-20)
    assert len(set(of_photo)) == len(STRENGTHS)
    found = divided(double, [], strength=1.0).evaluate(photo)
    alone = Objective(
        double, Recipe(terms=REGIONAL, padding="zeros"), photo,
        [(image(2, 37, 52).double(), 1.0), (image(5, 60, 19).double(), 1.0)],
    )  # fmt: skip
    assert torch.equal(gradient_of(found), gradient_of(alone.evaluate(photo)))


@pytest.mark.parametrize("tile", [None, 16])
def test_what_is_kept_is_judged_as_it_is_shown(tile: int | None, double: VGG) -> None:
    start, photo, protected = image(3, *SIZE).double(), image(1, *SIZE).double(), half()
    found = divided(double, [], protected=protected, tile=tile).evaluate(start)
    shown = start * (1 - protected) + photo * protected
    expected = divided(double, [], tile=tile).evaluate(shown)
    torch.testing.assert_close(found.numbers, expected.numbers, rtol=1e-9, atol=0)
    torch.testing.assert_close(gradient_of(found), gradient_of(expected) * (1 - protected))
    assert not gradient_of(found)[..., :28].any()
    assert gradient_of(found)[..., 36:].all()
    # The image below a protected pixel has no effect.
    other = torch.where(protected == 1, image(9, *SIZE).double(), start)
    again = divided(double, [], protected=protected, tile=tile).evaluate(other)
    assert torch.equal(gradient_of(again), gradient_of(found))


@EVERY_WHOLE
def test_what_compares_features_knows_no_regions(loss: Loss, double: VGG) -> None:
    with pytest.raises(UsageError, match=rf"^{loss.kind}.*: knows no masks or parts") as raised:
        divided(double, both(half()), MeanCovariance("relu2_1") + loss)
    assert "\n" not in str(raised.value)
    assert (
        divided(double, both(half()), MeanCovariance("relu2_1") + 0 * loss).evaluate(image(3, *SIZE).double()).is_finite
    )
    assert divided(double, [], 1.0 * loss, protected=half()).evaluate(image(3, *SIZE).double()).is_finite


def test_a_style_is_known_under_its_mask(double: VGG) -> None:
    start = image(3, *SIZE).double()
    masks = [None, half(37, 52), 1 - half(37, 52), torch.ones(1, 1, 37, 52, dtype=torch.float64)]
    regions = [[Region(None, (Source(0, mask),))] for mask in masks]
    together = [gradient_of(divided(double, each).evaluate(start)) for each in regions]
    again = [gradient_of(divided(double, each).evaluate(start)) for each in reversed(regions)][::-1]
    for each, first, second in zip(regions, together, again, strict=True):
        double.known_styles.clear()
        fresh = gradient_of(divided(double, each).evaluate(start))
        assert torch.equal(fresh, first)
        assert torch.equal(fresh, second)
    assert len({float(slope.sum()) for slope in together}) == 3  # a mask of ones has no effect
