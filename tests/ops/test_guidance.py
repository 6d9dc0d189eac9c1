"""Masks at the layers of a network, compared with NumPy, and sums over weighted positions."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch

from impasto.ops import guidance
from impasto.ops.guidance import Source, propagate_mask
from impasto.ops.moments import moments
from impasto.recipe import vgg_layers
from impasto.recipe.inputs import Part
from impasto.recipe.vgg_layers import Convolution
from impasto.vgg.network import VGG
from tests.conftest import PAIRED_LAYERS, SMALL_LAYERS, small_tensors
from tests.ops.test_moments import LAYOUTS

SIZES = [(33, 47), (32, 32), (17, 5), (7, 1), (1, 1), (2, 9)]
VGG16 = vgg_layers.NETWORKS["vgg16"]


def names(convolutions: tuple[Convolution, ...]) -> list[str]:
    return ["rgb", *(name for layer in convolutions for name in (layer.name, layer.rectified))]


def averaged(plane: np.ndarray, before: int, size: int, step: int) -> np.ndarray:
    """The mean of the pixels in windows of `size` x `size`, `step` apart; the first starts `before` before the edge."""
    height, width = plane.shape
    rows, columns = (range(0, side, step) for side in (height, width))
    result = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            top, left = max(row - before, 0), max(column - before, 0)
            result[i, j] = plane[top : row - before + size, left : column - before + size].mean()
    return result


@pytest.mark.parametrize("convolutions", [PAIRED_LAYERS, SMALL_LAYERS], ids=["paired", "small"])
@pytest.mark.parametrize("size", SIZES)
def test_layers_see_a_mask_averaged(size: tuple[int, int], convolutions: tuple[Convolution, ...]) -> None:
    plane = np.random.default_rng(0).random(size)
    found = propagate_mask(torch.from_numpy(plane)[None, None], convolutions, names(convolutions))
    np.testing.assert_array_equal(found["rgb"][0, 0], plane)
    block = 1
    for layer in convolutions:
        if layer.block != block:
            plane, block = averaged(plane, 0, 2, 2), layer.block
        plane = averaged(plane, 1, 3, 1)
        for name in (layer.name, layer.rectified):
            np.testing.assert_allclose(found[name][0, 0], plane, rtol=1e-12)


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
@pytest.mark.parametrize("size", SIZES)
def test_masks_have_the_sizes_of_the_features(size: tuple[int, int], pooling: Literal["max", "average", "l2"]) -> None:
    vgg = VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5, 0.4, 0.3], pooling=pooling, padding="replicate")
    layers = names(PAIRED_LAYERS)
    found = propagate_mask(torch.ones(1, 1, *size), PAIRED_LAYERS, layers)
    features = vgg(torch.rand(1, 3, *size), layers)
    assert {name: mask.shape[2:] for name, mask in found.items()} == {
        name: maps.shape[2:] for name, maps in features.items()
    }


@pytest.mark.parametrize("size", SIZES)
def test_masks_that_sum_to_one_do_at_every_layer(size: tuple[int, int]) -> None:
    shares = torch.rand(3, 1, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares = (shares > 0.5).double() + 0.01
    shares /= shares.sum(0)
    by_region = [propagate_mask(share, VGG16, names(VGG16)) for share in shares]
    for layer in names(VGG16):
        together = torch.stack([masks[layer] for masks in by_region]).sum(0)
        torch.testing.assert_close(together, torch.ones_like(together), rtol=0, atol=1e-12)
        assert all(float(masks[layer].min()) >= 0 and float(masks[layer].max()) <= 1 + 1e-12 for masks in by_region)


def test_only_the_layers_wanted_are_computed() -> None:
    mask = torch.rand(1, 1, 20, 30)
    found = propagate_mask(mask, VGG16, ["relu3_2", "rgb", "conv1_2"])
    assert list(found) == ["rgb", "conv1_2", "relu3_2"]
    assert found["rgb"] is mask
    assert propagate_mask(mask, VGG16, []) == {}


@pytest.mark.parametrize(("part", "strides"), [("all", {1, 2, 4, 8, 16}), ("fine", {1, 2}), ("coarse", {4, 8, 16})])
def test_parts_speak_for_strides(part: Part, strides: set[int]) -> None:
    assert {stride for stride in (1, 2, 4, 8, 16) if Source(0, None, part).applies_to(stride)} == strides


def test_shares_sum_to_one_whatever_they_weigh() -> None:
    assert guidance.normalize_weights([1.0, 3.0]) == [0.25, 0.75]
    assert guidance.normalize_weights([0.0, 0.0]) == [0.5, 0.5]


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Callable[[torch.Tensor], torch.Tensor]:
    found: Callable[[torch.Tensor], torch.Tensor] = LAYOUTS[request.param]
    return found


Layout = Callable[[torch.Tensor], torch.Tensor]


def features_and_mask(*size: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(size, dtype=torch.float64, generator=generator).to(dtype),
        torch.rand(1, 1, *size[2:], dtype=torch.float64, generator=generator).to(
            torch.promote_types(dtype, torch.float32)
        ),
    )


@pytest.mark.parametrize("size", [(1, 3, 4, 5), (1, 5, 1, 6), (1, 2, 3, 3)])
def test_moments_of_weighted_positions(size: tuple[int, ...], layout: Layout) -> None:
    features, mask = features_and_mask(*size)
    found = moments(layout(features), mask)
    flat, weights = features.numpy()[0].reshape(size[1], -1), mask.numpy().ravel()
    np.testing.assert_allclose(found.count, [weights.sum()], rtol=1e-12)
    np.testing.assert_allclose(found.total[0], flat @ weights, rtol=1e-12)
    np.testing.assert_allclose(found.outer[0], (flat * weights) @ flat.T, rtol=1e-12)
    np.testing.assert_allclose(found.mean[0], np.average(flat, axis=1, weights=weights), rtol=1e-12)
    np.testing.assert_allclose(found.covariance[0], np.cov(flat, ddof=0, aweights=weights), rtol=1e-9)
    # A part of a larger mask is not contiguous in memory.
    wide = torch.nn.functional.pad(mask, (3, 2, 1, 1))[..., 1:-1, 3:-2]
    torch.testing.assert_close(moments(layout(features), wide).outer, found.outer)


def test_the_gradient_of_weighted_moments(layout: Layout) -> None:
    features, mask = features_and_mask(1, 3, 4, 5)
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: (lambda m: (m.total, m.outer))(moments(layout(x), mask)), features)
    # By hand: d sum(S * F W F^T) / dF = (S + S^T) F W.
    slope = torch.rand(1, 3, 3, dtype=torch.float64)
    (found,) = torch.autograd.grad((moments(layout(features), mask).outer * slope).sum(), features)
    flat, weights = features.detach().numpy()[0].reshape(3, -1), mask.numpy().ravel()
    expected = (slope + slope.mT).numpy()[0] @ flat * weights
    np.testing.assert_allclose(found[0].reshape(3, -1), expected, rtol=1e-12)


def test_positions_that_do_not_count_have_no_slope(layout: Layout) -> None:
    features, mask = features_and_mask(1, 3, 4, 5)
    mask[..., :2] = 0
    features.requires_grad_()
    moments(layout(features), mask).outer.sum().backward()
    assert features.grad is not None
    assert not features.grad[..., :2].any()
    assert features.grad[..., 2:].all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_mask_of_ones_is_none(dtype: torch.dtype, layout: Layout) -> None:
    features, mask = features_and_mask(1, 3, 4, 5, dtype=dtype)
    with_ones, without = moments(layout(features), torch.ones_like(mask)), moments(layout(features))
    for name in ("count", "total", "outer"):
        torch.testing.assert_close(getattr(with_ones, name), getattr(without, name))
    assert with_ones.outer.dtype == torch.promote_types(dtype, torch.float32)


def test_half_precision_is_weighted_in_single(layout: Layout) -> None:
    features, mask = features_and_mask(1, 3, 16, 16, dtype=torch.bfloat16)
    features.requires_grad_()
    assert mask.dtype == torch.float32
    exact = features.detach().double().requires_grad_()
    halves, doubles = moments(layout(features), mask), moments(layout(exact), mask.double())
    assert halves.total.dtype == halves.outer.dtype == halves.count.dtype == torch.float32
    torch.testing.assert_close(halves.outer.double(), doubles.outer, rtol=1e-5, atol=0)
    halves.outer.sum().backward()
    doubles.outer.sum().backward()
    assert features.grad is not None
    assert exact.grad is not None
    assert features.grad.dtype == torch.bfloat16
    torch.testing.assert_close(features.grad.double(), exact.grad, rtol=2**-7, atol=0)
