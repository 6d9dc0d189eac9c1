"""Read a set of weights and refuse anything that is not exactly what its spec says."""

import hashlib
from importlib import resources

import torch
from safetensors.torch import load as load_safetensors

from impasto.errors import WeightsError
from impasto.weights.spec import WeightsSpec


def load(spec: WeightsSpec) -> dict[str, torch.Tensor]:
    """Return the weights that come with impasto, checked.

    Args:
        spec: which weights.

    Returns:
        `conv{block}_{index}.weight` (out, in, 3, 3) and `.bias` (out,) for every convolution, float32, as published:
        for BGR input in 0..255 minus `spec.mean_bgr`.

    Raises:
        WeightsError: the file is missing, its SHA-256 differs, or it holds other keys or shapes than the spec.

    """
    try:
        blob = (resources.files("impasto.weights") / "data" / spec.file).read_bytes()
    except OSError as error:
        raise WeightsError(f"{spec.file}: cannot be read ({error.strerror}); install impasto again") from error
    return parse(blob, spec)


def parse(blob: bytes, spec: WeightsSpec) -> dict[str, torch.Tensor]:
    """Return the tensors in `blob`, the content of a safetensors file, after checking it against `spec`.

    Raises:
        WeightsError: as `load`.

    """
    # The whole hash before a byte is interpreted: a parser is only as safe as what it is given.
    digest = hashlib.sha256(blob).hexdigest()
    if digest != spec.sha256:
        raise WeightsError(
            f"{spec.file}: damaged or replaced (SHA-256 is {digest[:12]}..., expected {spec.sha256[:12]}...); "
            "install impasto again"
        )
    tensors = load_safetensors(blob)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != expected_shapes(spec):
        raise WeightsError(f"{spec.file}: holds other layers than {spec.name} has; install impasto again")
    return {name: tensor.float() for name, tensor in tensors.items()}


def expected_shapes(spec: WeightsSpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that a file for `spec` holds, by key."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in spec.convolutions:
        shapes[f"{layer.name}.weight"] = (layer.out_channels, layer.in_channels, 3, 3)
        shapes[f"{layer.name}.bias"] = (layer.out_channels,)
    return shapes
