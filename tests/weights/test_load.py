import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save

from impasto import weights
from impasto.errors import WeightsError
from impasto.weights.load import expected_shapes, parse

SPEC = weights.EMBEDDED["vgg16"]


@pytest.fixture(scope="module")
def blob() -> bytes:
    from importlib import resources

    return (resources.files("impasto.weights") / "data" / SPEC.file).read_bytes()


def test_the_weights_are_the_published_ones() -> None:
    tensors = weights.load(SPEC)
    # The first numbers of kernels and biases in MatConvNet's imagenet-vgg-verydeep-16, to float16's three digits.
    for name, kernel, bias in [
        ("conv1_2", 0.16621928, -0.30912212),
        ("conv3_1", 0.002486315, -0.074358866),
        ("conv5_3", 0.00040788297, 0.18837857),
    ]:
        assert tensors[f"{name}.weight"].flatten()[0].item() == pytest.approx(kernel, rel=1e-3)
        assert tensors[f"{name}.bias"][0].item() == pytest.approx(bias, rel=1e-3)
    assert tensors["conv1_1.bias"][0].item() == pytest.approx(0.73429835, rel=1e-3)
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_one_flipped_bit_is_refused(blob: bytes, place: int) -> None:
    damaged = bytearray(blob)
    damaged[place] ^= 1
    with pytest.raises(WeightsError, match="damaged or replaced"):
        parse(bytes(damaged), SPEC)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x04K\x01."])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(WeightsError, match="damaged or replaced"):
        parse(content, SPEC)


def test_a_truncated_file_is_refused(blob: bytes) -> None:
    with pytest.raises(WeightsError, match="damaged or replaced"):
        parse(blob[: len(blob) // 2], SPEC)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_other_keys_or_shapes_are_refused_even_with_the_right_hash(change: str) -> None:
    tensors = {name: torch.from_numpy(np.zeros(shape, np.float16)) for name, shape in expected_shapes(SPEC).items()}
    if change == "missing":
        del tensors["conv5_3.bias"]
    elif change == "extra":
        tensors["fc6.weight"] = torch.zeros(1)
    else:
        tensors["conv1_1.bias"] = torch.zeros(63)
    content = save(tensors)
    spec = dataclasses.replace(SPEC, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(WeightsError, match="other layers"):
        parse(content, spec)


def test_a_missing_file_is_one_clear_line() -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: cannot be read"):
        weights.load(dataclasses.replace(SPEC, file="nowhere.safetensors"))
