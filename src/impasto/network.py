"""VGG with its layers by name, from sRGB pixels to features."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto import architecture, weights
from impasto.architecture import Convolution
from impasto.types import Image, LayerFeatures

Pooling = Literal["max", "average", "l2"]
Padding = Literal["zeros", "replicate", "reflect"]


class VGG(nn.Module):
    """The convolutional part of a VGG, evaluated up to the deepest layer asked for.

    Args:
        convolutions: its layers.
        tensors: `{name}.weight` (out, in, 3, 3) and `{name}.bias` (out,) of each, for RGB in [0, 1] minus `mean`.
        mean: (3,) RGB in [0, 1], subtracted from the image.
        pooling: between the blocks: `max` as trained, `average` as Gatys et al. 2016, `l2` the root of the mean square.
        padding: what lies outside the picture: `zeros` at every convolution, as trained; `replicate` the border pixels
            at the first convolution, zeros at the others; `reflect` every map mirrored at its border.

    """

    def __init__(
        self,
        convolutions: Sequence[Convolution],
        tensors: Mapping[str, Tensor],
        mean: Sequence[float],
        *,
        pooling: Pooling = "max",
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.convolutions = tuple(convolutions)
        self.pooling = pooling
        self.padding = padding
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        for key, tensor in tensors.items():
            # channels-last, the layout in which both the CPU's and the GPU's convolutions are fastest
            stored = tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
            self.register_buffer(key.replace(".", "_"), stored)

    def forward(self, image: Image, layers: Iterable[str]) -> LayerFeatures:
        """Return the features of `image` at `layers`.

        Args:
            image: (B, 3, H, W) sRGB in [0, 1], of any size.
            layers: names such as `relu4_2`, or `rgb` for the image itself; evaluation stops at the deepest.

        Returns:
            Features by name, (B, C, H / stride, W / stride) rounded up, in the order of evaluation.

        Raises:
            RecipeError: a layer that a VGG with these convolutions does not have.

        """
        wanted = set(layers)
        architecture.check_layers(wanted, self.convolutions)
        features: LayerFeatures = {architecture.PIXELS: image} if architecture.PIXELS in wanted else {}
        x = (image - self.get_buffer("mean")).contiguous(memory_format=torch.channels_last)
        block = 1
        for convolution in self.convolutions:
            if wanted == features.keys():
                break
            if convolution.block != block:
                x = _pool(x, self.pooling)
                block = convolution.block
            x = self._convolve(x, convolution.name)
            keep = convolution.name in wanted
            if keep:
                features[convolution.name] = x
            # In place unless somebody keeps the convolution's own output, which it would overwrite.
            x = F.relu(x, inplace=not keep)
            if convolution.rectified in wanted:
                features[convolution.rectified] = x
        return features

    def _convolve(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        first = name == self.convolutions[0].name
        if self.padding == "reflect" or (self.padding == "replicate" and first):
            # A map one position wide has nothing to mirror: its only column is repeated.
            mode = "reflect" if self.padding == "reflect" and min(x.shape[2:]) > 1 else "replicate"
            return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), weight, bias)
        return F.conv2d(x, weight, bias, padding=1)


def _pool(x: Tensor, pooling: Pooling) -> Tensor:
    # Rounded up at odd sizes, as Caffe does, in which the paper's network was written: no border pixel goes unseen.
    if pooling == "max":
        return F.max_pool2d(x, 2, ceil_mode=True)
    if pooling == "average":
        return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    # The root's slope is infinite at zero, where rectified features often are; 1e-8 is far below any that counts.
    return (F.avg_pool2d(x * x, 2, ceil_mode=True, count_include_pad=False) + 1e-8).sqrt()


def load(name: str, *, pooling: Pooling = "max", padding: Padding = "zeros") -> VGG:
    """Return the network called `name` with the weights that come with impasto, in evaluation mode on the CPU.

    Raises:
        WeightsError: the weights are missing or damaged.

    """
    spec = weights.EMBEDDED[name]
    tensors = dict(weights.load(spec))
    first = f"{spec.convolutions[0].name}.weight"
    # Published for BGR in 0..255; with the kernel's channels turned round and scaled it is the same for RGB in [0, 1].
    tensors[first] = tensors[first].flip(1) * 255
    mean = [value / 255 for value in reversed(spec.mean_bgr)]
    return VGG(spec.convolutions, tensors, mean, pooling=pooling, padding=padding).eval()
