from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from impasto.errors import RecipeError, WeightsError
from impasto.ops import resample
from impasto.ops.moments import Moments, moments
from impasto.recipe import vgg_layers
from impasto.vgg import layers, network
from impasto.vgg.network import VGG
from impasto.vgg.weights import activations
from tests.conftest import PAIRED_LAYERS, SMALL_LAYERS, small_tensors


def plain_features(image: np.ndarray, tensors: dict[str, torch.Tensor], mean: list[float]) -> dict[str, np.ndarray]:
    """VGG as its definition says, one tap at a time: zero padding, ReLU, 2 x 2 maximum between blocks."""
    x = image - np.array(mean)[:, None, None]
    found = {}
    for block in range(1, 6):
        if block > 1:
            h, w = (x.shape[1] + 1) // 2, (x.shape[2] + 1) // 2
            padded = np.full((x.shape[0], 2 * h, 2 * w), -np.inf)
            padded[:, : x.shape[1], : x.shape[2]] = x
            x = padded.reshape(-1, h, 2, w, 2).max(axis=(2, 4))
        kernel = tensors[f"conv{block}_1.weight"].double().numpy()
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        out = np.zeros((kernel.shape[0], *x.shape[1:]))
        for row in range(3):
            for column in range(3):
                window = padded[:, row : row + x.shape[1], column : column + x.shape[2]]
                out += np.einsum("oi,ihw->ohw", kernel[:, :, row, column], window)
        found[f"conv{block}_1"] = out + tensors[f"conv{block}_1.bias"].double().numpy()[:, None, None]
        x = np.maximum(found[f"conv{block}_1"], 0)
        found[f"relu{block}_1"] = x
    return found


@pytest.mark.parametrize(("height", "width"), [(32, 48), (37, 21), (1, 1), (1, 40)])
def test_features_equal_the_definition(height: int, width: int) -> None:
    tensors, mean = small_tensors(SMALL_LAYERS), [0.5, 0.4, 0.3]
    image = torch.rand(1, 3, height, width)
    names = [f"{kind}{block}_1" for block in range(1, 6) for kind in ("conv", "relu")]
    found = VGG(SMALL_LAYERS, tensors, mean)(image, names)
    expected = plain_features(image[0].double().numpy(), tensors, mean)
    for name in names:
        assert found[name].shape[1:] == expected[name].shape
        np.testing.assert_allclose(found[name][0].numpy(), expected[name], atol=1e-5)


def test_conv_features_are_not_overwritten_by_the_relu(small_network: Callable[..., VGG]) -> None:
    found = small_network()(torch.rand(1, 3, 16, 16), ["conv1_1", "relu1_1", "conv3_1"])
    assert found["conv1_1"].min() < 0
    assert torch.equal(found["conv1_1"].relu(), found["relu1_1"])
    assert found["conv3_1"].min() < 0


def test_evaluation_stops_at_the_deepest_layer(
    small_network: Callable[..., VGG], monkeypatch: pytest.MonkeyPatch
) -> None:
    vgg = small_network()
    called: list[str] = []
    convolve = vgg.convolve
    monkeypatch.setattr(
        vgg,
        "convolve",
        lambda x, name, padding, **options: called.append(name) or convolve(x, name, padding, **options),
    )
    assert list(vgg(torch.rand(1, 3, 16, 16), ["relu3_1", "relu1_1"])) == ["relu1_1", "relu3_1"]
    assert called == ["conv1_1", "conv2_1", "conv3_1"]


def test_an_unknown_layer_names_the_nearest(small_network: Callable[..., VGG]) -> None:
    with pytest.raises(RecipeError, match=r"'relu4_9'.*did you mean 'relu4_1'"):
        small_network()(torch.rand(1, 3, 16, 16), ["relu4_9"])


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_pooling(pooling: str, small_network: Callable[..., VGG]) -> None:
    vgg = small_network(pooling=pooling)
    image = torch.rand(1, 3, 6, 6)
    found = vgg(image, ["relu1_1", "conv2_1"])
    cells = found["relu1_1"].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # (1, C, 3, 3, 4)
    pooled = {
        "max": cells.amax(4),
        "average": cells.mean(4),
        "l2": (cells.square().mean(4) + 1e-8).sqrt(),
    }[pooling]
    expected = F.conv2d(pooled, vgg.kernels["conv2_1"].weight, vgg.kernels["conv2_1"].bias, padding=1)
    torch.testing.assert_close(found["conv2_1"], expected)


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (17, 16)])
def test_every_size_gives_finite_features_and_gradients(
    size: tuple[int, int], padding: str, pooling: str, small_network: Callable[..., VGG]
) -> None:
    image = torch.zeros(1, 3, *size, requires_grad=True)
    features = small_network(pooling=pooling, padding=padding)(image, ["relu5_1"])["relu5_1"]
    features.sum().backward()
    assert features.numel() > 0
    assert features.isfinite().all()
    assert image.grad is not None
    assert image.grad.isfinite().all()


def test_reflect_padding_sees_no_border_in_a_symmetric_picture(small_network: Callable[..., VGG]) -> None:
    flat = torch.full((1, 3, 16, 16), 0.7)
    features = small_network(padding="reflect")(flat, ["relu3_1"])["relu3_1"]
    assert torch.allclose(features, features[:, :, :1, :1].expand_as(features), atol=1e-6)
    assert not torch.allclose(small_network(padding="zeros")(flat, ["relu3_1"])["relu3_1"], features, atol=1e-3)


def test_receptive_fields_and_strides() -> None:
    # Known for VGG-16: conv1_2 sees 5, conv2_1 10, conv3_1 24, conv4_1 60, conv5_1 132 pixels.
    known = vgg_layers.layers(vgg_layers.NETWORKS["vgg16"])
    fields = {name: (known[name].stride, known[name].receptive_field) for name in known if name.startswith("conv")}
    assert fields["conv1_1"] == (1, 3)
    assert fields["conv1_2"] == (1, 5)
    assert fields["conv2_1"] == (2, 10)
    assert fields["conv3_1"] == (4, 24)
    assert fields["conv4_1"] == (8, 60)
    assert fields["conv5_1"] == (16, 132)
    assert [known[f"relu{b}_1"].channels for b in range(1, 6)] == [64, 128, 256, 512, 512]


def test_a_receptive_field_is_what_the_gradient_reaches() -> None:
    vgg = VGG(SMALL_LAYERS, small_tensors(SMALL_LAYERS), [0.0, 0.0, 0.0], pooling="average")
    for name, info in vgg_layers.layers(SMALL_LAYERS).items():
        if not name.startswith("conv"):
            continue
        image = torch.rand(1, 3, 160, 160, requires_grad=True)
        features = vgg(image, [name])[name]
        centre = features.shape[2] // 2
        (gradient,) = torch.autograd.grad(features[0, :, centre, centre].sum(), image)
        rows = gradient.abs().sum((0, 1, 3)).nonzero()
        assert int(rows.max() - rows.min()) + 1 == info.receptive_field


def test_vgg16_tells_colours_in_bgr_order() -> None:
    # A red picture in the form of the authors' Caffe network: BGR in 0..255 minus the mean.
    from impasto.vgg import weights

    spec = weights.EMBEDDED["vgg16"]
    tensors = weights.load(spec)
    red = torch.zeros(1, 3, 8, 8)
    red[:, 0] = 1
    bgr = (red.flip(1) * 255) - torch.tensor(spec.mean_bgr).view(1, 3, 1, 1)
    expected = F.conv2d(bgr, tensors["conv1_1.weight"], tensors["conv1_1.bias"], padding=1)
    found = network.load("vgg16")(red, ["conv1_1"])["conv1_1"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-2)


def test_circular_padding_sees_a_picture_that_goes_on(small_network: Callable[..., VGG]) -> None:
    # If a picture is shifted cyclically by a multiple of the coarsest stride, its features are shifted too.
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    vgg = small_network(padding="circular")
    found, moved = vgg(image, ["relu3_1"])["relu3_1"], vgg(image.roll((16, 16), (2, 3)), ["relu3_1"])["relu3_1"]
    torch.testing.assert_close(moved, found.roll((4, 4), (2, 3)))
    zeros = small_network(padding="zeros")(image.roll((16, 16), (2, 3)), ["relu3_1"])["relu3_1"]
    assert not torch.allclose(zeros, small_network()(image, ["relu3_1"])["relu3_1"].roll((4, 4), (2, 3)), atol=1e-3)


def test_padding_can_be_chosen_for_one_picture(small_network: Callable[..., VGG]) -> None:
    image = torch.rand(1, 3, 16, 16)
    expected = small_network(padding="reflect")(image, ["relu2_1"])["relu2_1"]
    assert torch.equal(small_network(padding="circular")(image, ["relu2_1"], padding="reflect")["relu2_1"], expected)


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_normalized_every_filter_is_one_on_average_and_says_the_same(
    pooling: str, small_network: Callable[..., VGG]
) -> None:
    # Gatys et al. 2016, section 2: "Such re-scaling can be done for the VGG network without changing its output".
    vgg = small_network(pooling=pooling).to(dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(1, 3, 33, 40, dtype=torch.float64, generator=generator) for _ in range(3)]
    means = network.measure_means(vgg, images)
    # In float64, so that rounding does not matter. A filter that is never active has no mean.
    means = {name: torch.where(mean > 1e-6, mean, 1.0) for name, mean in means.items()}
    normalized = network.normalize_activations(vgg, means).to(dtype=torch.float64)
    # The small constant under the root of L2 pooling is not rescaled.
    tolerance = 5e-2 if pooling == "l2" else 1e-6
    for mean in network.measure_means(normalized, images).values():
        spoken = mean[mean > 1e-6]
        assert spoken.numel() >= 3
        torch.testing.assert_close(spoken, torch.ones_like(spoken), rtol=tolerance, atol=0)
    layers = [convolution.rectified for convolution in vgg.convolutions]
    plain, scaled = vgg(images[0], layers), normalized(images[0], layers)
    for layer in layers:
        factor = means[layer.replace("relu", "conv")][:, None, None]
        torch.testing.assert_close(scaled[layer] * factor, plain[layer], rtol=tolerance, atol=1e-3 * tolerance)


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_vgg16_normalized(pooling: Literal["max", "average", "l2"]) -> None:
    published = network.load("vgg16", pooling=pooling)
    vgg = network.load("vgg16", pooling=pooling, activity="unit-mean")
    stored = activations.load_means("vgg16", pooling)
    assert stored is not None
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    image = resample.resize(activations.photographs()[0], 96, 96)
    plain, scaled = published(image, layers), vgg(image, layers)
    for layer in layers:
        mean = stored[layer.replace("relu", "conv")]
        floor = network.LEAST_ACTIVITY * mean.mean()
        factor = mean.clamp(min=floor)[:, None, None]
        torch.testing.assert_close(
            scaled[layer] * factor, plain[layer], rtol=1e-3, atol=1e-3 * float(plain[layer].max())
        )
        # On our photographs few filters are so inactive that their mean stays below 1.
        assert int((mean < floor).sum()) <= 6


def test_the_stored_means_are_those_of_natural_images() -> None:
    # The measurement takes a minute, so only some of its photographs are used: their means are near 1, as expected.
    vgg = network.load("vgg16", pooling="average", activity="unit-mean")
    photographs = [resample.resize(photograph, 96, 96) for photograph in activations.photographs()[::4]]
    for name, mean in network.measure_means(vgg, photographs).items():
        if name.endswith("_1"):
            assert 0.5 < float(mean.mean()) < 2


def test_a_network_without_stored_means_is_measured() -> None:
    vgg = VGG(SMALL_LAYERS, small_tensors(SMALL_LAYERS), [0.0, 0.0, 0.0], pooling="average")
    means = network.activation_means("another", vgg)
    assert means.keys() == {convolution.name for convolution in SMALL_LAYERS}
    for mean in means.values():
        assert mean.dtype == torch.float32
        assert float(mean.min()) >= 0.999 * network.LEAST_ACTIVITY * float(mean.mean()) / (1 + network.LEAST_ACTIVITY)


def test_damaged_means_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "read_file", lambda file: b"something else")
    with pytest.raises(WeightsError, match=r"vgg16-activity.safetensors: damaged or replaced"):
        activations.load_means("vgg16", "max")


def test_another_precision_is_another_network(small_network: Callable[..., VGG]) -> None:
    vgg = small_network(pooling="average", padding="reflect")
    image = torch.rand(1, 3, 16, 16)
    before = vgg(image, ["relu3_1"])["relu3_1"]
    double = vgg.to(dtype=torch.float64)
    assert (vgg.dtype, double.dtype) == (torch.float32, torch.float64)
    assert double(image, ["relu3_1"])["relu3_1"].dtype == torch.float64
    assert vgg(image, ["relu3_1"])["relu3_1"].dtype == torch.float32
    assert torch.equal(vgg(image, ["relu3_1"])["relu3_1"], before)
    # In all other respects it is the same.
    assert (double.pooling, double.padding, double.mean) == (vgg.pooling, vgg.padding, vgg.mean)
    torch.testing.assert_close(double(image, ["relu3_1"])["relu3_1"].float(), before)


def test_another_device_is_another_network(small_network: Callable[..., VGG]) -> None:
    vgg = small_network()
    elsewhere = vgg.to(torch.device("meta"))
    assert (vgg.device.type, elsewhere.device.type) == ("cpu", "meta")
    assert all(kernel.weight.device.type == "cpu" for kernel in vgg.kernels.values())
    assert elsewhere.dtype == vgg.dtype


def test_a_walk_yields_the_features_of_a_call_in_order(small_network: Callable[..., VGG]) -> None:
    vgg, image = small_network(), torch.rand(1, 3, 16, 16)
    names = ["relu3_1", "rgb", "conv3_1", "relu1_1"]
    # Compared at once, because a walk may overwrite what it has yielded.
    walked = [
        (name, features.clone()) for name, features in vgg.walk(image, names) if isinstance(features, torch.Tensor)
    ]
    assert [name for name, _ in walked] == ["rgb", "relu1_1", "conv3_1", "relu3_1"]
    assert all(torch.equal(features, vgg(image, names)[name]) for name, features in walked)


ALL_SUMMED = ["relu1_1", "relu2_1", "relu3_1"]


@pytest.mark.parametrize(
    ("settings", "names", "summed", "fused"),
    [
        ({}, ALL_SUMMED, ALL_SUMMED, {"relu1_1", "relu2_1"}),
        ({}, ALL_SUMMED, ["relu2_1"], {"relu2_1"}),
        ({}, ALL_SUMMED, [], set()),
        # Another layer of the block is requested.
        ({}, [*ALL_SUMMED, "conv1_1"], ALL_SUMMED, {"relu2_1"}),
        ({}, [*ALL_SUMMED, "relu2_2"], [*ALL_SUMMED, "relu2_2"], {"relu1_1"}),
        # The block is the last one.
        ({}, ["relu1_1", "relu2_1"], ALL_SUMMED, {"relu1_1"}),
        ({"padding": "replicate"}, ALL_SUMMED, ALL_SUMMED, {"relu2_1"}),
        ({"padding": "reflect"}, ALL_SUMMED, ALL_SUMMED, set()),
        ({"padding": "circular"}, ALL_SUMMED, ALL_SUMMED, set()),
        ({"pooling": "average"}, ALL_SUMMED, ALL_SUMMED, set()),
        ({"pooling": "l2"}, ALL_SUMMED, ALL_SUMMED, set()),
    ],
)
def test_moments_alone_where_nothing_else_is_wanted(
    settings: dict[str, Any], names: list[str], summed: list[str], fused: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40)
    vgg = VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5, 0.4, 0.3], **settings).to(dtype=torch.float64)
    image = torch.rand(2, 3, 35, 22, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    walked = dict(vgg.walk(image, names, summed=dict.fromkeys(summed)))
    plain = vgg(image, names)
    assert set(walked) == set(plain) == set(names)
    assert {name for name, found in walked.items() if isinstance(found, Moments)} == fused
    for name, features in plain.items():
        found, expected = walked[name], moments(features)
        found = found if isinstance(found, Moments) else moments(found)
        for one, other in zip(vars(found).values(), vars(expected).values(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_moments_alone_are_those_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40)
    vgg = VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5, 0.4, 0.3]).to(dtype=torch.float64)
    image = torch.rand(1, 3, 35, 22, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cores = {"relu1_1": (slice(8, 29), slice(0, 22)), "relu2_1": (slice(4, 18), slice(3, 7))}
    walked, plain = dict(vgg.walk(image, ALL_SUMMED, summed=cores)), vgg(image, ALL_SUMMED)
    for name, core in cores.items():
        assert isinstance(walked[name], Moments)
        expected = moments(plain[name][:, :, core[0], core[1]])
        for one, other in zip(vars(walked[name]).values(), vars(expected).values(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reason", ["one-band", "channels-last"])
def test_no_moments_alone_where_they_save_no_memory(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "prefers_nchw", lambda: reason == "one-band")
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40 if reason == "channels-last" else 35 * 22)
    vgg = VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5, 0.4, 0.3])
    found = dict(vgg.walk(torch.rand(1, 3, 35, 22), ALL_SUMMED, summed=dict.fromkeys(ALL_SUMMED)))
    assert not any(isinstance(features, Moments) for features in found.values())


def test_a_call_has_features_of_all_layers_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    # A block between two requested layers is computed in bands too.
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    vgg = VGG(PAIRED_LAYERS, small_tensors(PAIRED_LAYERS), [0.5, 0.4, 0.3]).to(dtype=torch.float64)
    image, called = torch.rand(1, 3, 35, 22, dtype=torch.float64), []
    names = ["rgb", "conv1_2", "relu3_1"]
    expected = vgg(image, names)
    monkeypatch.setattr(layers, "BAND_POSITIONS", 40)
    block = layers.convolve_block
    monkeypatch.setattr(layers, "convolve_block", lambda *given: called.append(given) or block(*given))
    found = vgg(image, names)
    assert list(found) == names
    assert len(called) == 1
    for name in names:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=1e-12)
