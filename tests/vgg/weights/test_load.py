import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from impasto.errors import WeightsError
from impasto.recipe.vgg_layers import NETWORKS
from impasto.vgg import weights
from impasto.vgg.weights import activations
from impasto.vgg.weights.reading import find_misfit, parse

SPEC = weights.SPECS["vgg16"]
EMBEDDED = SPEC.embedded
assert EMBEDDED is not None
FILE, SHA256 = EMBEDDED.file, EMBEDDED.sha256


@pytest.fixture(scope="module")
def blob() -> bytes:
    from importlib import resources

    return (resources.files("impasto.vgg.weights") / "data" / FILE).read_bytes()


def test_every_network_has_weights_and_every_set_of_weights_a_place_to_come_from() -> None:
    assert weights.SPECS.keys() == NETWORKS.keys()
    for name, spec in weights.SPECS.items():
        assert spec.name == name
        assert (spec.embedded is None) != (spec.official is None)
        assert spec.official is None or spec.official.url.startswith("https://")


def test_the_weights_are_the_published_ones() -> None:
    tensors = weights.load("vgg16")
    # The first values of kernels and biases in MatConvNet's imagenet-vgg-verydeep-16, to the three digits of float16.
    for name, kernel, bias in [
        ("conv1_2", 0.16621928, -0.30912212),
        ("conv3_1", 0.002486315, -0.074358866),
        ("conv5_3", 0.00040788297, 0.18837857),
    ]:
        assert tensors[f"{name}.weight"].flatten()[0].item() == pytest.approx(kernel, rel=1e-3)
        assert tensors[f"{name}.bias"][0].item() == pytest.approx(bias, rel=1e-3)
    assert tensors["conv1_1.bias"][0].item() == pytest.approx(0.73429835, rel=1e-3)
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in tensors.values())
    assert tensors.convention.order == "BGR"


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_one_flipped_bit_is_refused(blob: bytes, place: int) -> None:
    damaged = bytearray(blob)
    damaged[place] ^= 1
    with pytest.raises(WeightsError, match=r"vgg16.safetensors: damaged or replaced .*; install impasto again"):
        parse(bytes(damaged), FILE, SHA256, "install impasto again")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x04K\x01."])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(WeightsError, match="damaged or replaced"):
        parse(content, FILE, SHA256, "")


@pytest.mark.parametrize("content", [b"", b"\x02", b"\x02\0\0\0\0\0\0\0{}" * 2, b"\x80\x04K\x01." * 9])
def test_what_is_no_safetensors_file_is_refused_even_with_the_right_hash(content: bytes) -> None:
    with pytest.raises(WeightsError, match="is no safetensors file"):
        parse(content, FILE, hashlib.sha256(content).hexdigest(), "")


def test_a_truncated_file_is_refused(blob: bytes) -> None:
    with pytest.raises(WeightsError, match="damaged or replaced"):
        parse(blob[: len(blob) // 2], FILE, SHA256, "")


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "NaN", "dtype"])
def test_other_keys_shapes_or_numbers_are_refused(change: str) -> None:
    tensors = {name: torch.from_numpy(np.zeros(shape, np.float16)) for name, shape in SPEC.tensor_shapes().items()}
    assert find_misfit(tensors, SPEC) is None
    if change == "missing":
        del tensors["conv5_3.bias"]
    elif change == "extra":
        tensors["fc6.weight"] = torch.zeros(1)
    elif change == "shape":
        tensors["conv1_1.bias"] = torch.zeros(63)
    elif change == "NaN":
        tensors["conv1_1.bias"][5] = torch.nan
    else:
        tensors["conv1_1.bias"] = torch.zeros(64, dtype=torch.int32)
    expected = {"NaN": "not finite", "dtype": "not as real numbers"}.get(change, "other layers")
    assert expected in (find_misfit(tensors, SPEC) or "")
    # The layers are checked although the hash is right.
    content = save(tensors)
    found, about = parse(content, FILE, hashlib.sha256(content).hexdigest(), "")
    assert find_misfit(found, SPEC)
    assert not about


def test_a_missing_file_is_one_clear_line() -> None:
    assert EMBEDDED is not None
    broken = dataclasses.replace(SPEC, embedded=dataclasses.replace(EMBEDDED, file="nowhere.safetensors"))
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: cannot be read"):
        weights.load(broken)


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(WeightsError, match="there are no weights called 'vgg17'; did you mean 'vgg1"):
        weights.load("vgg17")


def test_weights_that_are_not_here_are_not_downloaded(cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.load("vgg19")
    assert str(caught.value) == (
        "vgg19: not on this machine; run 'impasto weights fetch vgg19' (548 MiB) or 'impasto weights import FILE'"
    )
    assert not cache.exists()


def test_measured_activations_with_a_flipped_bit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    read = activations.read_file
    assert activations.load_means("vgg16", "max")

    def flipped(file: str) -> bytes:
        blob = bytearray(read(file))
        blob[-1] ^= 1
        return bytes(blob)

    monkeypatch.setattr(activations, "read_file", flipped)
    with pytest.raises(WeightsError, match="damaged or replaced; install impasto again"):
        activations.load_means("vgg16", "max")
