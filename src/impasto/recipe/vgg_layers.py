"""The architecture of a VGG: its convolutions, its layers by the paper's names, and their receptive fields.

`conv4_2` is the output of the second convolution of the fourth block before its ReLU, `relu4_2` after it. The paper's
"conv" features are rectified, so recipes use `relu`.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from impasto.errors import RecipeError, suggest

# The image itself, sRGB in [0, 1]: a layer below the first convolution, for statistics of colours.
PIXELS: Final = "rgb"


class Convolution(NamedTuple):
    """One 3 x 3 convolution of a VGG."""

    name: str
    in_channels: int
    out_channels: int

    @property
    def block(self) -> int:
        """Number of the block, 1 to 5; a pooling separates two blocks."""
        return int(self.name[len("conv")])

    @property
    def rectified(self) -> str:
        """Name of the layer after the ReLU."""
        return self.name.replace("conv", "relu")


class LayerInfo(NamedTuple):
    """The place of a layer in the network."""

    name: str
    channels: int
    stride: int  # pixels of the image between two positions
    receptive_field: int  # pixels of the image, in each direction, that one position depends on


def _convolutions(depths: tuple[int, ...]) -> tuple[Convolution, ...]:
    # Simonyan and Zisserman 2015, table 1: channels double with each block, up to 512.
    layers = []
    channels = 3
    for block, depth in enumerate(depths, start=1):
        width = min(64 * 2 ** (block - 1), 512)
        for index in range(1, depth + 1):
            layers.append(Convolution(f"conv{block}_{index}", channels, width))
            channels = width
    return tuple(layers)


# Simonyan and Zisserman 2015, table 1, configurations D and E.
_VGG16 = _convolutions((2, 2, 3, 3, 3))
_VGG19 = _convolutions((2, 2, 4, 4, 4))

# By the name of the weights: two sets of weights may share an architecture.
NETWORKS: Final = {"vgg16": _VGG16, "vgg19": _VGG19, "vgg19-caffe": _VGG19}


def layers(convolutions: Iterable[Convolution]) -> dict[str, LayerInfo]:
    """Return every `conv` and `relu` layer by name, in the order of evaluation."""
    result = {}
    stride, field, block = 1, 1, 1
    for convolution in convolutions:
        if convolution.block != block:
            block = convolution.block
            field += stride  # a 2 x 2 pooling depends on one position more
            stride *= 2
        field += 2 * stride
        for name in (convolution.name, convolution.rectified):
            result[name] = LayerInfo(name, convolution.out_channels, stride, field)
    return result


def check_layers(names: Iterable[str], convolutions: Iterable[Convolution]) -> None:
    """Refuse layers that a VGG of these convolutions does not have.

    Raises:
        RecipeError: a layer does not exist; the message names the nearest that does.

    """
    known_names = [PIXELS, *layers(convolutions)]
    for name in names:
        if name not in known_names:
            raise RecipeError(f"there is no layer {name!r} in this network; {suggest(name, known_names)}")
