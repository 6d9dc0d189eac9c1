"""VGG with its layers by name, from sRGB pixels to features."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto import architecture, weights
from impasto.architecture import Convolution
from impasto.types import Image, LayerFeatures
from impasto.weights import activations

Pooling = Literal["max", "average", "l2"]
Padding = Literal["zeros", "replicate", "reflect", "circular"]
Activity = Literal["published", "unit-mean"]


class VGG(nn.Module):
    """The convolutional part of a VGG, evaluated up to the deepest layer asked for.

    Args:
        convolutions: its layers.
        tensors: `{name}.weight` (out, in, 3, 3) and `{name}.bias` (out,) of each, for RGB in [0, 1] minus `mean`.
        mean: (3,) RGB in [0, 1], subtracted from the image.
        pooling: between the blocks: `max` as trained, `average` as Gatys et al. 2016, `l2` the root of the mean square.
        padding: what lies outside the picture: `zeros` at every convolution, as trained; `replicate` the border pixels
            at the first convolution, zeros at the others; `reflect` every map mirrored at its border; `circular` every
            map going on at its other side.

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

    def forward(self, image: Image, layers: Iterable[str], padding: Padding | None = None) -> LayerFeatures:
        """Return the features of `image` at `layers`.

        Args:
            image: (B, 3, H, W) sRGB in [0, 1], of any size.
            layers: names such as `relu4_2`, or `rgb` for the image itself; evaluation stops at the deepest.
            padding: what lies outside this image, where that is another than the network's own.

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
            x = self._convolve(x, convolution.name, padding or self.padding)
            keep = convolution.name in wanted
            if keep:
                features[convolution.name] = x
            # In place unless somebody keeps the convolution's own output, which it would overwrite.
            x = F.relu(x, inplace=not keep)
            if convolution.rectified in wanted:
                features[convolution.rectified] = x
        return features

    def _convolve(self, x: Tensor, name: str, padding: Padding) -> Tensor:
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        if padding == "zeros" or (padding == "replicate" and name != self.convolutions[0].name):
            return F.conv2d(x, weight, bias, padding=1)
        # A map one position wide has nothing to mirror: its only column is repeated.
        mode = "replicate" if padding == "reflect" and min(x.shape[2:]) == 1 else padding
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), weight, bias)


def _pool(x: Tensor, pooling: Pooling) -> Tensor:
    # Rounded up at odd sizes, as Caffe does, in which the paper's network was written: no border pixel goes unseen.
    if pooling == "max":
        return F.max_pool2d(x, 2, ceil_mode=True)
    if pooling == "average":
        return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    # The root's slope is infinite at zero, where rectified features often are; 1e-8 is far below any that counts.
    return (F.avg_pool2d(x * x, 2, ceil_mode=True, count_include_pad=False) + 1e-8).sqrt()


def load(name: str, *, pooling: Pooling = "max", padding: Padding = "zeros", activity: Activity = "published") -> VGG:
    """Return the network called `name`, in evaluation mode on the CPU.

    Args:
        name: one of `architecture.NETWORKS`.
        pooling: see `VGG`.
        padding: see `VGG`.
        activity: `unit-mean` rescales the weights so that every filter's mean activation is 1, Gatys et al. 2016.

    Raises:
        WeightsError: the weights are not on this machine, or damaged.

    """
    published = weights.load(name)
    tensors, convention = dict(published), published.convention
    first = f"{published.spec.convolutions[0].name}.weight"
    # Published for other pixels: turned round, or in 0..255, or divided by a deviation. W ((x white - mean) / std) is
    # (W white / std) (x - mean / white), so a kernel with its channels scaled says the same of RGB in [0, 1].
    scale = torch.tensor([convention.white / deviation for deviation in convention.std])
    tensors[first] = tensors[first] * scale.view(1, 3, 1, 1)
    mean = [value / convention.white for value in convention.mean]
    if convention.order == "BGR":
        tensors[first] = tensors[first].flip(1)
        mean.reverse()
    vgg = VGG(published.spec.convolutions, tensors, mean, pooling=pooling, padding=padding).eval()
    return vgg if activity == "published" else normalized(vgg, activation_means(name, vgg))


def normalized(vgg: VGG, means: Mapping[str, Tensor]) -> VGG:
    """Return `vgg` with every filter's activations divided by its mean; rectified, it says the same in other units.

    Every filter's kernel and bias are divided by its mean, and its share in the kernels of the next layer is multiplied
    by it. ReLU and all poolings pass a factor above 0 through. Source: Gatys et al. 2016, section 2.

    Args:
        vgg: any.
        means: (C,) above 0, of every convolution's rectified output by its name, such as `conv4_2`.

    """
    tensors = {}
    before: Tensor | None = None
    for convolution in vgg.convolutions:
        weight, bias = (vgg.get_buffer(f"{convolution.name}_{part}") for part in ("weight", "bias"))
        mean = means[convolution.name]
        weight = weight / mean[:, None, None, None]
        tensors[f"{convolution.name}.weight"] = weight if before is None else weight * before[:, None, None]
        tensors[f"{convolution.name}.bias"] = bias / mean
        before = mean
    own_mean = vgg.get_buffer("mean").flatten().tolist()
    return VGG(vgg.convolutions, tensors, own_mean, pooling=vgg.pooling, padding=vgg.padding).eval()


def activation_means(name: str, vgg: VGG) -> dict[str, Tensor]:
    """Return the mean activation of every filter over natural images, in float32, by its convolution.

    Those of VGG-16 come with impasto (scripts/measure_activations). Others are measured now, on smaller photographs.
    """
    means = activations.stored(name, vgg.pooling) or measured_means(vgg, activations.photographs())
    # A filter that a few photographs hardly wake is taken for a tenth as active as its layer: see docs/deviations.md.
    return {key: mean.clamp(min=LEAST_ACTIVITY * mean.mean()).float() for key, mean in means.items()}


# Ours, looked at: without it some sixteen filters of VGG-16's 4224 make up nearly all of the style loss, and no picture
# appears in 400 steps.
LEAST_ACTIVITY = 0.1


def measured_means(vgg: VGG, images: Iterable[Image]) -> dict[str, Tensor]:
    """Return the mean activation of every filter over all positions of `images`, in float64, by its convolution."""
    totals: dict[str, Tensor] = {}
    count: dict[str, int] = {}
    rectified = {convolution.rectified: convolution.name for convolution in vgg.convolutions}
    for image in images:
        with torch.no_grad():
            for layer, features in vgg(image, rectified, padding="reflect").items():
                name = rectified[layer]
                totals[name] = totals.get(name, 0) + features.double().sum((0, 2, 3))
                count[name] = count.get(name, 0) + features.shape[0] * features.shape[2] * features.shape[3]
    return {name: total / count[name] for name, total in totals.items()}
