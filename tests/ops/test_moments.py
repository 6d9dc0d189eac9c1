import math
from collections.abc import Callable

import pytest
import torch

from impasto.ops import moments as ops_moments
from impasto.ops.moments import blend, moments

LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "planar": lambda x: x.contiguous(),
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    # Not contiguous, like the core of a tile.
    "cut": lambda x: torch.nn.functional.pad(x, (2, 1, 1, 2))[..., 1:-2, 2:-1],
    "channels-last cut": lambda x: torch.nn.functional.pad(
        x.contiguous(memory_format=torch.channels_last), (2, 1, 1, 2)
    )[..., 1:-2, 2:-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (1, 1, 3, 3), (1, 4, 1, 1), (2, 3, 1, 6)])
def test_every_layout_has_the_same_moments_and_gradient(layout: str, size: tuple[int, int, int, int]) -> None:
    features = torch.rand(size, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = moments(LAYOUTS[layout](features))
    flat = features.reshape(*size[:2], math.prod(size[2:]))
    total, outer = flat.sum(2), torch.einsum("bim,bjm->bij", flat, flat)
    torch.testing.assert_close(found.total, total)
    torch.testing.assert_close(found.outer, outer)
    # Not symmetric, because the gradient of a sum of outer products need not be.
    slopes = [torch.rand(*result.shape, dtype=torch.float64) for result in (total, outer)]
    for chosen in ([0], [1], [0, 1]):
        results = [
            torch.autograd.grad([pair[i] for i in chosen], features, [slopes[i] for i in chosen], retain_graph=True)[0]
            for pair in ((found.total, found.outer), (total, outer))
        ]
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_of_moments_is_exact(layout: str) -> None:
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)

    def sums(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = moments(LAYOUTS[layout](x))
        return found.total, found.outer

    assert torch.autograd.gradcheck(sums, features)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gradient_of_half_precision_is_half_precision(dtype: torch.dtype) -> None:
    features = torch.rand(1, 2, 3, 4).to(dtype).requires_grad_()
    moments(features).outer.sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == dtype
    exact = features.detach().float().requires_grad_()
    moments(exact).outer.sum().backward()
    assert exact.grad is not None
    torch.testing.assert_close(features.grad, exact.grad.to(dtype), rtol=0, atol=0)


def test_statistics_against_numpy_definitions() -> None:
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    found = moments(features)
    for index in range(2):
        flat = features[index].flatten(1)
        assert torch.allclose(found.mean[index], flat.mean(1))
        assert torch.allclose(found.gram[index], flat @ flat.T / 20)
        assert torch.allclose(found.covariance[index], torch.cov(flat, correction=0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_never_reaches_a_gram_matrix(dtype: torch.dtype) -> None:
    # 300^2 x 4096 positions is 5600 times the largest float16.
    features = torch.full((1, 2, 64, 64), 300.0, dtype=dtype)
    found = moments(features)
    assert found.outer.dtype == torch.float32
    assert torch.equal(found.gram, torch.full((1, 2, 2), float(features[0, 0, 0, 0]) ** 2))


def test_double_precision_is_kept() -> None:
    assert moments(torch.rand(1, 2, 3, 3, dtype=torch.float64)).outer.dtype == torch.float64


def test_a_blend_weighs_pictures_not_pixels() -> None:
    small, large = torch.rand(1, 3, 2, 2), torch.rand(1, 3, 20, 30)
    mixed = blend([(moments(small), 0.25), (moments(large), 0.75)])
    assert torch.allclose(mixed.mean, 0.25 * moments(small).mean + 0.75 * moments(large).mean)
    assert torch.allclose(mixed.gram, 0.25 * moments(small).gram + 0.75 * moments(large).gram, atol=1e-6)


def test_a_blend_of_one_style_with_itself_is_that_style() -> None:
    style = moments(torch.rand(1, 3, 6, 7))
    mixed = blend([(style, 0.3), (style, 0.7)])
    assert torch.allclose(mixed.covariance, style.covariance, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 8, 6, 5), (2, 3, 4, 4)])
def test_half_precision_is_summed_in_float32_without_a_copy(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated CUDA, whose matrix products of half precision return float32."""
    copied: list[torch.dtype] = []

    def product(left: torch.Tensor, right: torch.Tensor, out_dtype: torch.dtype) -> torch.Tensor:
        copied.extend((left.dtype, right.dtype))
        return left.to(out_dtype) @ right.to(out_dtype)

    features = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    features = features.contiguous(memory_format=torch.channels_last).requires_grad_()

    def sums_and_gradient() -> list[torch.Tensor]:
        found = moments(features)
        results = [found.total, found.outer]
        slopes = [torch.rand(result.shape, generator=torch.Generator().manual_seed(1)) for result in results]
        return [*results, *torch.autograd.grad(results, features, slopes)]

    expected = sums_and_gradient()
    monkeypatch.setattr(ops_moments, "has_mixed_products", lambda tensor: True)
    monkeypatch.setattr(torch, "bmm", product)
    found = sums_and_gradient()
    assert set(copied) == {torch.bfloat16}
    for one, other in zip(found[:2], expected, strict=False):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(found[2], expected[2], rtol=2**-7, atol=1e-2)


def test_the_gradient_has_the_layout_of_the_features() -> None:
    for layout in (torch.contiguous_format, torch.channels_last):
        # On the CPU, channels-last features have a contiguous gradient.
        features = torch.rand(1, 4, 6, 5).contiguous(memory_format=layout).to("meta").requires_grad_()
        (gradient,) = torch.autograd.grad(moments(features).outer.sum(), features)
        assert gradient.is_contiguous(memory_format=layout)
