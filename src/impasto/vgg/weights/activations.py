"""The mean activation of each filter over natural images, by which Gatys et al. 2016 rescale the network."""

import hashlib
import itertools
from importlib import resources
from typing import Final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load as load_safetensors
from torch import Tensor

from impasto.errors import WeightsError

# Written by scripts/measure_activations.
FILES: Final = {"vgg16": "vgg16-activity.safetensors"}
SHA256: Final = {"vgg16": "e7a1b12f0e1f87d57d6c3eee5b42439d0de6639beae98003e05432906eb3316d"}
PHOTOGRAPHS: Final = "photographs.jpg"
TILE: Final = 192  # px: side of each of the square photographs in the sheet


def load_means(name: str, pooling: str) -> dict[str, Tensor] | None:
    """Return the mean rectified output of every filter, (C,) by its convolution; None where it was not measured.

    Raises:
        WeightsError: the file is missing or damaged.

    """
    if name not in FILES:
        return None
    blob = read_file(FILES[name])
    if hashlib.sha256(blob).hexdigest() != SHA256[name]:
        raise WeightsError(f"{FILES[name]}: damaged or replaced; install impasto again")
    prefix = f"{pooling}."
    return {key.removeprefix(prefix): mean for key, mean in load_safetensors(blob).items() if key.startswith(prefix)}


def photographs() -> list[Tensor]:
    """Return scikit-image's photographs in all orders of their colours, (1, 3, 192, 192) sRGB in [0, 1] each.

    Other networks are measured on them.
    """
    with (
        resources.as_file(resources.files("impasto.vgg.weights") / "data" / PHOTOGRAPHS) as path,
        Image.open(path) as sheet,
    ):
        pixels = torch.from_numpy(np.array(sheet.convert("RGB"))).permute(2, 0, 1)[None] / 255
    tiles = [tile for row in torch.split(pixels, TILE, dim=2) for tile in torch.split(row, TILE, dim=3)]
    return [image for tile in tiles for image in permute_channels(tile)]


def permute_channels(image: Tensor) -> list[Tensor]:
    """Return `image`, (1, 3, H, W), with its three channels in all six orders."""
    return [image[:, list(order)] for order in itertools.permutations(range(3))]


def read_file(file: str) -> bytes:
    """Return the content of a file of the package's data."""
    try:
        return (resources.files("impasto.vgg.weights") / "data" / file).read_bytes()
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror}); install impasto again") from error
