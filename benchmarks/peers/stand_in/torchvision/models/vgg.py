"""The convolutional part of VGG-16, Simonyan and Zisserman 2015, table 1, configuration D."""

from typing import Any

from torch import nn

# In torchvision before 0.13 these were the addresses of weights; pystiche reads only the names.
model_urls: dict[str, str] = {"vgg16": ""}
_CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG(nn.Module):
    """`features` with torchvision's indices; there is no classifier, because no loss uses it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for block in _CHANNELS:
            for channels in block:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)


def vgg16(*, pretrained: bool = False, **_: Any) -> VGG:
    """Return VGG-16 with random weights."""
    if pretrained:
        raise NotImplementedError("weights come from a file")
    return VGG()
