"""Both VGG-19 at full size, in each publisher's form, compared with the publisher's definition of VGG-19."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from impasto.recipe.vgg_layers import NETWORKS
from impasto.vgg import network, weights
from tests.vgg.weights import samples

pytestmark = pytest.mark.usefixtures("cache")

# torchvision/models/vgg.py, configuration E.
CFG = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"]
# Indices in its Sequential: the ReLU after conv1_1, conv3_2, conv4_2, conv5_1 and conv5_4.
RELUS = {"relu1_1": 1, "relu3_2": 13, "relu4_2": 22, "relu5_1": 29, "relu5_4": 35}


def vgg19() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for item in CFG:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            assert isinstance(item, int)
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
            channels = item
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def seeded() -> dict[str, torch.Tensor]:
    """Weights with torchvision's names `features.N.weight` and `.bias`, scaled to keep features of order 1."""
    generator = torch.Generator().manual_seed(0)
    table = {}
    for name, tensor in vgg19().state_dict().items():
        scale = (2 / tensor[0].numel()) ** 0.5 if tensor.ndim == 4 else 0.1
        table[f"features.{name}"] = torch.randn(tensor.shape, generator=generator) * scale
    return table


def expected(table: dict[str, torch.Tensor], pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    model = vgg19()
    model.load_state_dict({key.removeprefix("features."): tensor for key, tensor in table.items()})
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for place, layer in enumerate(model):
            pixels = layer(pixels)
            found |= {name: pixels.clone() for name, at in RELUS.items() if at == place}
    return found


def rgb_in_0_1(image: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (image - mean[:, None, None]) / std[:, None, None]


def bgr_in_0_255(image: torch.Tensor) -> torch.Tensor:
    return image[:, [2, 1, 0]] * 255 - torch.tensor([103.939, 116.779, 123.68])[:, None, None]


def compare(name: str, wanted: dict[str, torch.Tensor], image: torch.Tensor) -> None:
    with torch.no_grad():
        found = network.load(name)(image, RELUS)
    for layer, features in wanted.items():
        assert features.std() > 0
        torch.testing.assert_close(found[layer], features, rtol=1e-4, atol=1e-4 * features.abs().max().item())


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["vgg19", "vgg19-caffe"])
def test_torch_files(tmp_path: Path, seeded: dict[str, torch.Tensor], image: torch.Tensor, name: str) -> None:
    table = {key: tensor.clone() for key, tensor in seeded.items()}
    table["features.0.weight"][0, :, 0, 0] = torch.tensor(weights.SPECS[name].corner)
    done = weights.import_file(samples.pth(tmp_path / "x.pth", table))
    assert (done.name, done.recognized_by) == (name, "the numbers in its first layer")
    prepared = rgb_in_0_1(image) if name == "vgg19" else bgr_in_0_255(image)
    compare(name, expected(table, prepared), image)


def test_keras_file(tmp_path: Path, seeded: dict[str, torch.Tensor], image: torch.Tensor) -> None:
    import h5py

    # As in keras/applications/vgg19.py: blocks of 2, 2, 4, 4, 4 layers, kernels (height, width, in, out), BGR.
    arrays = iter(seeded.values())
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for block, depth in enumerate((2, 2, 4, 4, 4), start=1):
            for index in range(1, depth + 1):
                layer = f"block{block}_conv{index}"
                group = file.create_group(layer)
                group[f"{layer}_W_1:0"] = np.transpose(next(arrays).numpy(), (2, 3, 1, 0))
                group[f"{layer}_b_1:0"] = next(arrays).numpy()
    assert weights.import_file(tmp_path / "x.h5").name == "vgg19-caffe"
    compare("vgg19-caffe", expected(seeded, bgr_in_0_255(image)), image)


def test_numbers_of_vgg19_have_the_shapes_of_its_definition() -> None:
    sizes = [item for item in CFG if item != "M"]
    assert [layer.out_channels for layer in NETWORKS["vgg19"]] == sizes
    assert NETWORKS["vgg19"] == NETWORKS["vgg19-caffe"]


def test_the_two_are_told_apart_by_numbers_far_from_each_other() -> None:
    one, other = weights.SPECS["vgg19"].corner, weights.SPECS["vgg19-caffe"].corner
    assert one is not None
    assert other is not None
    assert all(abs(a - b) > 0.1 for a, b in zip(one, other, strict=True))
