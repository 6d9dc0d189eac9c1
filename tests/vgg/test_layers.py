"""The layers compared with PyTorch's: the same values and gradients by every method, with less memory."""

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.ops.moments import Moments, moments
from impasto.recipe.vgg_layers import Convolution
from impasto.vgg import layers
from impasto.vgg.layers import Core, Kernel
from impasto.vgg.network import VGG
from tests.conftest import PAIRED_LAYERS, SMALL_LAYERS, small_tensors

NNPACK = pytest.mark.skipif(not torch._nnpack_available(), reason="this PyTorch has no NNPACK")  # noqa: SLF001
SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (5, 7), (12, 18), (13, 8)]
# Maps of 24 x 24 positions and more, with even and odd sides, and of one row or column.
LARGE = [(24, 24), (31, 29), (1, 600), (600, 1)]


@pytest.fixture(autouse=True)
def planar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose the methods that are tested, independent of the speed of this machine."""
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def kernel(into: int, out: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Kernel:
    scale = (2 / (9 * into)) ** 0.5
    return Kernel(
        scale * normal(out, into, 3, 3, seed=seed, dtype=dtype), 0.1 * normal(out, seed=seed + 1, dtype=dtype)
    )


def assert_near(found: Iterable[Tensor], expected: Iterable[Tensor], bound: float) -> None:
    """Assert that the largest difference is small relative to the largest value."""
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one.double() - other.double()).abs().max().item() <= bound * other.abs().max().item()


def with_gradient(work: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return `work(x)`, and the gradient of its product with fixed numbers."""
    x = x.detach().clone().requires_grad_()
    result = work(x)
    (gradient,) = torch.autograd.grad(result, x, normal(*result.shape, seed=9, dtype=result.dtype))
    return result.detach(), gradient


def check_convolution(into: int, out: int, size: tuple[int, int], padding: int, batch: int, bound: float) -> None:
    """In float32 to `bound`, and in float64 to the last digits."""
    for dtype, limit in ((torch.float32, bound), (torch.float64, 1e-13)):
        x, weights = normal(batch, into, *size, dtype=dtype), kernel(into, out, dtype=dtype)
        exact = kernel(into, out, dtype=dtype)
        exact = Kernel(exact.weight.double(), exact.bias.double())
        found = with_gradient(functools.partial(layers.convolve, kernel=weights, padding=padding), x)
        expected = with_gradient(
            functools.partial(F.conv2d, weight=exact.weight, bias=exact.bias, padding=padding), x.double()
        )
        assert found[0].dtype == found[1].dtype == dtype
        assert_near(found, expected, limit)


CHANNELS = pytest.mark.parametrize(("into", "out"), [(3, 16), (16, 3), (6, 6), (16, 24)])


@CHANNELS
@pytest.mark.parametrize("size", [*SIZES, (23, 25)])
@pytest.mark.parametrize("batch", [1, 2])
def test_convolve_is_a_convolution(into: int, out: int, size: tuple[int, int], batch: int) -> None:
    for padding in (0, 1) if min(size) >= 3 else (1,):
        check_convolution(into, out, size, padding, batch, 2e-6)


@NNPACK
@CHANNELS
@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("batch", [1, 2])
def test_convolve_is_a_convolution_on_large_maps(into: int, out: int, size: tuple[int, int], batch: int) -> None:
    # Winograd's method multiplies by numbers up to 32 that cancel out: it loses one digit.
    for padding in (0, 1) if min(size) >= 3 else (1,):
        check_convolution(into, out, size, padding, batch, 5e-5 if min(into, out) > 8 else 2e-6)


@NNPACK
@pytest.mark.parametrize(
    ("into", "out", "size", "dtype", "expected"),
    [
        (3, 16, (30, 30), torch.float32, ["products", "products"]),
        (16, 16, (24, 24), torch.float32, ["winograd", "winograd"]),
        (16, 16, (23, 25), torch.float32, []),
        (3, 16, (30, 30), torch.float64, []),
        (16, 16, (24, 24), torch.float64, []),
    ],
)
def test_every_size_has_its_route(
    into: int,
    out: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []
    for name in ("products", "winograd"):
        route = getattr(layers, f"convolve_by_{name}")
        spy = lambda *given, name=name, route=route: taken.append(name) or route(*given)  # noqa: E731
        monkeypatch.setattr(layers, f"convolve_by_{name}", spy)
    weights = kernel(into, out, dtype=dtype)
    with_gradient(lambda x: layers.convolve(x, weights, 1), normal(1, into, *size, dtype=dtype))
    assert taken == expected


@pytest.mark.parametrize(("into", "out"), [(3, 7), (7, 3), (3, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 2), (0, 1), (2, 1)])
def test_products_are_a_convolution_to_the_last_digits(into: int, out: int, padding: tuple[int, int]) -> None:
    # In float64, for which this method is not chosen, rounding cannot hide a mistake.
    x, weights = normal(2, into, 6, 5), kernel(into, out)
    for bias in (weights.bias, None):
        found = layers.convolve_by_products(x, weights.weight, bias, padding)
        torch.testing.assert_close(found, F.conv2d(x, weights.weight, bias, padding=padding), rtol=1e-12, atol=1e-12)


@NNPACK
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 2), (0, 1), (2, 1)])
@pytest.mark.parametrize("size", [(24, 25), (25, 24), (40, 15), (1, 600)])
def test_winograd_in_bands(size: tuple[int, int], padding: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    if min(size) + 2 * min(padding) < 3:
        pytest.skip("nothing is left of one row without padding")
    x, weights = normal(2, 9, *size, dtype=torch.float32), kernel(9, 10, dtype=torch.float32)
    calls: list[Tensor] = []
    convolution = torch._nnpack_spatial_convolution  # noqa: SLF001
    monkeypatch.setattr(
        torch,
        "_nnpack_spatial_convolution",
        lambda x, *given, **more: calls.append(x) or convolution(x, *given, **more),
    )
    # Also with one row: a band has at least six.
    monkeypatch.setattr(layers, "_WINOGRAD_BYTES", 1e3)
    found = layers.convolve_by_winograd(x, weights.weight, weights.bias, padding)
    assert len(calls) == math.ceil((size[0] + 2 * padding[0] - 2) / 6)
    expected = F.conv2d(x.double(), weights.weight.double(), weights.bias.double(), padding=padding)
    assert_near([found], [expected], 5e-5)


@pytest.mark.parametrize("padding", [0, 1])
def test_the_gradient_of_a_convolution_is_exact(padding: int) -> None:
    weights = kernel(3, 4)
    x = normal(2, 3, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layers.convolve(x, weights, padding), x)


def pooled(x: Tensor) -> Tensor:
    return F.max_pool2d(x.relu(), 2, ceil_mode=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rectified_maximum_is_the_maximum_of_rectified(size: tuple[int, int], ties: bool, dtype: torch.dtype) -> None:
    x = normal(2, 3, *size, dtype=dtype)
    # Integers from -2 to 2: most cells have equal values, and some only negative ones.
    x = x.round().clamp(-2, 2) if ties else x
    for found, expected in zip(with_gradient(layers.relu_max_pool, x), with_gradient(pooled, x), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("size", SIZES)
def test_one_of_equals_has_the_gradient(size: tuple[int, int]) -> None:
    x = torch.full((1, 2, *size), 0.5, requires_grad=True)
    result = layers.relu_max_pool(x)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    # The first maximum of each cell has the gradient, the others have none.
    expected = torch.zeros_like(x)
    expected[..., ::2, ::2] = 1
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize("level", [0.0, -1.0])
def test_what_is_not_above_zero_has_no_gradient(level: float) -> None:
    x = torch.full((1, 2, 5, 5), level, requires_grad=True)
    result = layers.relu_max_pool(x)
    assert not result.any()
    assert not torch.autograd.grad(result.sum(), x)[0].any()


def test_the_gradient_of_a_rectified_maximum_is_exact() -> None:
    # Values so far apart that a small step does not change a maximum.
    x = torch.randperm(2 * 5 * 7, generator=torch.Generator().manual_seed(0)).double().view(1, 2, 5, 7) - 30.5
    assert torch.autograd.gradcheck(layers.relu_max_pool, x.requires_grad_())


@pytest.mark.parametrize("position", [(0, 0), (3, 3), (4, 4)])
def test_a_rectified_maximum_hides_no_nan(position: tuple[int, int]) -> None:
    x = normal(1, 1, 5, 5)
    x[..., position[0], position[1]] = math.nan
    assert layers.relu_max_pool(x)[..., position[0] // 2, position[1] // 2].isnan()


@pytest.mark.parametrize(("width", "dtype"), [(5, torch.int16), (6, torch.int16), (7, torch.int32), (12, torch.int32)])
def test_offsets_of_wide_maps(width: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "INT16_WIDTH", 6)
    x, first, second = normal(2, 3, 7, width), kernel(3, 4), kernel(4, 5, seed=3)
    assert layers.relu_max(x)[1].dtype == dtype
    assert torch.equal(with_gradient(layers.relu_max_pool, x)[1], with_gradient(pooled, x)[1])
    found = with_gradient(lambda x: layers.convolve_block(x, first, second)[0], x)
    assert_near(found, with_gradient(lambda x: plain_block(x, first, second)[0], x), 1e-12)


def test_the_widest_offset_fits() -> None:
    # The last position of a cell in the widest map whose offsets fit into 16 bits, and in a wider one.
    for width in (layers.INT16_WIDTH, layers.INT16_WIDTH + 1):
        x = torch.arange(2.0 * width).view(1, 1, 2, width).requires_grad_()
        (gradient,) = torch.autograd.grad(layers.relu_max_pool(x).sum(), x)
        assert torch.equal(gradient.nonzero()[-1], torch.tensor([0, 0, 1, width - 1]))


EVERYTHING = (slice(None), slice(None))


def plain_block(x: Tensor, first: Kernel, second: Kernel, core: Core = EVERYTHING) -> tuple[Tensor, Tensor, Tensor]:
    features = F.conv2d(x, first.weight, first.bias, padding=1).relu()
    inside = features[:, :, core[0], core[1]]
    outer = torch.einsum("bihw,bjhw->bij", inside, inside)
    return pooled(F.conv2d(features, second.weight, second.bias, padding=1)), inside.sum((2, 3)), outer


def flat_block(x: Tensor, first: Kernel, second: Kernel, core: Core | None = None) -> tuple[Tensor, Tensor, Tensor]:
    result, found = layers.convolve_block(x, first, second, core)
    positions = x[0, 0][core or EVERYTHING].numel()
    assert torch.equal(found.count, torch.full((x.shape[0],), positions, dtype=x.dtype))
    return result, found.total, found.outer


BANDS = pytest.mark.parametrize("band", [80_000, 40], ids=["whole", "bands"])


def check_block(into: int, size: tuple[int, int], core: Core | None) -> None:
    first, second = kernel(into, 4), kernel(4, 6, seed=3)
    x = normal(2, into, *size, seed=5).requires_grad_()
    found, expected = flat_block(x, first, second, core), plain_block(x, first, second, core or EVERYTHING)
    assert_near(found, expected, 1e-12)
    slopes = [normal(*result.shape, seed=6 + index) for index, result in enumerate(expected)]
    # Moments of each of the three layers alone, and of all together.
    for chosen in ([0], [1], [2], [0, 1, 2]):
        gradients = [
            torch.autograd.grad(
                [results[index] for index in chosen], x, [slopes[index] for index in chosen], retain_graph=True
            )
            for results in (found, expected)
        ]
        assert_near(gradients[0], gradients[1], 1e-12)


@BANDS
@pytest.mark.parametrize("size", [*SIZES, (6, 6), (7, 10), (18, 11), (25, 6), (31, 10)])
@pytest.mark.parametrize("into", [3, 5])
def test_a_block_is_its_layers(into: int, size: tuple[int, int], band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BAND_POSITIONS", band)
    check_block(into, size, None)


@BANDS
@pytest.mark.parametrize("rows", [slice(0, 25), slice(0, 6), slice(5, 7), slice(12, 25), slice(24, 25)])
@pytest.mark.parametrize("columns", [slice(0, 9), slice(2, 8)])
def test_a_block_has_the_moments_of_its_core(
    rows: slice, columns: slice, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bands of six rows: some have no row of the core, some have one.
    monkeypatch.setattr(layers, "BAND_POSITIONS", band)
    check_block(3, (25, 9), (rows, columns))


@BANDS
def test_the_gradient_of_a_block_is_exact(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BAND_POSITIONS", band)
    first, second = kernel(3, 3), kernel(3, 2, seed=3)
    x = normal(1, 3, 13, 6, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: flat_block(x, first, second), x)


@NNPACK
@BANDS
@pytest.mark.parametrize("into", [3, 12])
def test_a_block_in_float32_is_its_layers(into: int, band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some bands use Winograd's method, and a shorter one at the bottom the usual method.
    monkeypatch.setattr(layers, "BAND_POSITIONS", band)
    kernels = [kernel(into, 16, dtype=torch.float32), kernel(16, 12, seed=3, dtype=torch.float32)]
    exact = [Kernel(one.weight.double(), one.bias.double()) for one in kernels]
    x = normal(2, into, 26, 120, dtype=torch.float32)
    found = flat_block(x, kernels[0], kernels[1])
    expected = plain_block(x.double(), exact[0], exact[1])
    assert_near(found, expected, 1e-4)


@pytest.mark.parametrize("band", [40, 10**9])
def test_bands_are_worth_it_where_there_are_several(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BAND_POSITIONS", band)
    x = torch.zeros(1, 3, 30, 30)
    assert layers.is_worth_bands(x) == (band == 40) == (len(list(layers.row_bands(30, 30))) > 1)
    assert not layers.is_worth_bands(x.contiguous(memory_format=torch.channels_last))


def saved_bytes(work: Callable[[Tensor], object], x: Tensor) -> int:
    """Bytes that are saved for the backward pass, with each storage counted once."""
    storages = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = work(x.requires_grad_())
    del kept
    return sum(storages.values())


def test_little_is_kept_for_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40)
    first, second = (kernel(*channels, dtype=torch.float32) for channels in ((3, 16), (16, 16)))
    x = normal(1, 3, 32, 32, dtype=torch.float32)

    def own(x: Tensor) -> tuple[Tensor, Moments]:
        features = layers.convolve(x, first, 1).relu_()
        return layers.relu_max_pool(layers.convolve(features, second, 1)), moments(features)

    features, pixels = 4 * 16 * 32 * 32, 4 * 3 * 32 * 32
    plain = saved_bytes(lambda x: plain_block(x, first, second), x)
    # Both rectified layers, the positions of the maxima in 64 bits, and the pixels.
    assert plain >= 2.5 * features + pixels
    # One rectified layer, for the moments; of a pooled layer 3 bytes for four positions, which take 4 bytes each.
    assert saved_bytes(own, x) == features * (1 + 3 / 16)
    # None of the layers.
    assert saved_bytes(lambda x: layers.convolve_block(x, first, second), x) == features * 3 / 16 + pixels


def network(
    convolutions: tuple[Convolution, ...],
    pooling: Literal["max", "average", "l2"],
    padding: Literal["zeros", "replicate", "reflect", "circular"],
) -> VGG:
    tensors = small_tensors(convolutions)
    return VGG(convolutions, tensors, [0.5, 0.4, 0.3], pooling=pooling, padding=padding).to(dtype=torch.float64)


@pytest.mark.parametrize("convolutions", [SMALL_LAYERS, PAIRED_LAYERS], ids=["small", "paired"])
@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect", "circular"])
def test_both_layouts_say_the_same(
    convolutions: tuple[Convolution, ...],
    pooling: Literal["max", "average", "l2"],
    padding: Literal["zeros", "replicate", "reflect", "circular"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deepest = convolutions[-1].rectified
    results = []
    for planar in (True, False):
        monkeypatch.setattr(layers, "prefers_nchw", lambda planar=planar: planar)
        vgg = network(convolutions, pooling, padding)
        image = torch.rand(2, 3, 33, 46, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        features = vgg(image.requires_grad_(), ["conv1_1", "relu2_1", deepest])
        layout = torch.contiguous_format if planar else torch.channels_last
        assert all(found.is_contiguous(memory_format=layout) for found in features.values())
        total = torch.stack([found.square().sum() for found in features.values()]).sum()
        results.append([*features.values(), *torch.autograd.grad(total, image)])
    assert_near(results[0], results[1], 1e-12)


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
@pytest.mark.parametrize("layer", ["relu1_2", "conv1_2"])
def test_what_was_kept_before_a_pooling_is_left_alone(
    layer: str, pooling: Literal["max", "average", "l2"], planar: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Results of features need these in the backward pass, so they must not be overwritten before.
    monkeypatch.setattr(layers, "prefers_nchw", lambda: planar)
    image = torch.rand(1, 3, 12, 14, dtype=torch.float64).requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for _, features in network(PAIRED_LAYERS, pooling, "zeros").walk(image, [layer, "relu3_1"]):
        assert isinstance(features, Tensor)
        total = total + moments(features).outer.sum()
    (gradient,) = torch.autograd.grad(total, image)
    assert gradient.any()


class Fake:
    """A simulated tensor of a device that this machine lacks."""

    def __init__(self, kind: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device(kind), dtype

    def contiguous(self, *, memory_format: torch.memory_format) -> torch.memory_format:
        return memory_format


@pytest.mark.parametrize(
    ("kind", "dtype", "expected"),
    [
        ("cpu", torch.float32, torch.contiguous_format),
        ("cuda", torch.bfloat16, torch.channels_last),
        ("cuda", torch.float32, torch.contiguous_format),
        ("mps", torch.float32, torch.contiguous_format),
        ("xpu", torch.float32, torch.contiguous_format),
    ],
)
def test_the_layout_of_each_device(kind: str, dtype: torch.dtype, expected: torch.memory_format) -> None:
    assert cast("object", layers.to_fast_layout(cast("Tensor", Fake(kind, dtype)), "winograd")) is expected


def test_other_devices_pool_with_pytorchs_own_function() -> None:
    """Metal's backward pass ignores the offsets that our own pooling keeps."""
    x = torch.empty(1, 4, 6, 6, device="meta", requires_grad=True)
    assert "ReluMaxPool" not in str(layers.relu_max_pool(x).grad_fn)
    assert "ReluMaxPool" in str(layers.relu_max_pool(torch.rand(1, 4, 6, 6, requires_grad=True)).grad_fn)


@pytest.mark.parametrize("padding", [0, 1])
def test_convolution_and_relu_at_once_are_those_one_after_the_other(
    padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a fake of cuDNN's function, which exists only with CUDA."""
    x, weights = normal(1, 3, 8, 7), kernel(3, 5)
    expected = with_gradient(lambda x: F.relu(layers.convolve(x, weights, padding)), x)
    calls = []

    def fused(x: Tensor, weight: Tensor, bias: Tensor, stride: object, padding: tuple[int, int], *rest: Any) -> Tensor:
        calls.append(rest)
        return F.conv2d(x, weight, bias, padding=padding).relu_()

    monkeypatch.setattr(layers, "fuses_relu", lambda x: True)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", fused)
    assert_near(with_gradient(lambda x: layers.convolve_relu(x, weights, padding), x), expected, 1e-13)
    assert calls == [((1, 1), 1)]


def test_where_cudnn_refuses_it_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Tensor:
        raise RuntimeError("GET was unable to find an engine to execute this computation")

    x, weights = normal(1, 3, 8, 7), kernel(3, 5)
    refused: set[tuple[torch.device, torch.dtype]] = set()
    monkeypatch.setattr(layers, "REFUSED_FUSIONS", refused)
    monkeypatch.setattr(layers, "fuses_relu", lambda x: (x.device, x.dtype) not in refused)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", refuse)
    expected = F.relu(layers.convolve(x, weights, 1))
    for _ in range(2):
        assert_near([layers.convolve_relu(x, weights, 1)], [expected], 1e-13)
    assert refused == {(torch.device("cpu"), torch.float64)}


def test_lack_of_memory_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*arguments: Any) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(layers, "fuses_relu", lambda x: True)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", lack)
    with pytest.raises(torch.OutOfMemoryError):
        layers.convolve_relu(normal(1, 3, 8, 7), kernel(3, 5), 1)
    assert not layers.REFUSED_FUSIONS
