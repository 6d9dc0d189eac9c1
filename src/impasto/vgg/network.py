"""VGG: features of an image at named layers."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.ops.moments import Moments
from impasto.ops.numerics import wide_dtype
from impasto.ops.shapes import Features, Image, LayerFeatures
from impasto.recipe import vgg_layers
from impasto.recipe.vgg_layers import Convolution
from impasto.system.cache import Cache
from impasto.vgg import layers, weights
from impasto.vgg.convolutions import Method
from impasto.vgg.layers import Kernel
from impasto.vgg.weights import activations

Pooling = Literal["max", "average", "l2"]
Padding = Literal["zeros", "replicate", "reflect", "circular"]
Activity = Literal["published", "unit-mean"]


class VGG:
    """The convolutional part of a VGG, computed up to the deepest layer asked for.

    Args:
        convolutions: the layers.
        tensors: `{name}.weight` (out, in, 3, 3) and `{name}.bias` (out,) of each, for RGB in [0, 1] minus `mean`.
        mean: (3,) RGB in [0, 1], subtracted from the image.
        pooling: between blocks: `max` as trained, `average` as in Gatys et al. 2016, `l2` the root of the mean square.
        padding: values beyond the picture's edges: `zeros` at every convolution, as trained; `replicate` the edge
            pixels at the first convolution, zeros at the others; `reflect` every map mirrored at its edges; `circular`
            every map continued on its opposite side.
        method: the convolution method on a CPU in float32; None for the fastest on this machine.

    """

    def __init__(
        self,
        convolutions: Sequence[Convolution],
        tensors: Mapping[str, Tensor],
        mean: Sequence[float],
        *,
        pooling: Pooling = "max",
        padding: Padding = "zeros",
        method: Method | None = None,
    ) -> None:
        self.convolutions = tuple(convolutions)
        self.method: Method = method or ("winograd" if layers.prefers_nchw() else "default")
        self.pooling: Pooling = pooling
        self.padding: Padding = padding
        self.mean = tuple(mean)
        # The moments of style pictures, some 2.5 MB each, by all that they depend on; freed with the network.
        self.known_styles: Cache[dict[str, Moments]] = Cache(32)
        first = tensors[f"{self.convolutions[0].name}.bias"]
        # Made here: while a CUDA graph is captured, nothing can be copied to the device.
        self._mean = torch.tensor(self.mean, device=first.device, dtype=wide_dtype(first.dtype)).view(1, 3, 1, 1)
        self.kernels = {
            layer.name: Kernel(
                layers.to_fast_layout(tensors[f"{layer.name}.weight"], self.method),
                tensors[f"{layer.name}.bias"],
                self.method,
            )
            for layer in self.convolutions
        }

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of features."""
        return self.kernels[self.convolutions[0].name].bias.dtype

    @property
    def device(self) -> torch.device:
        """The device that features are computed on."""
        return self.kernels[self.convolutions[0].name].bias.device

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> "VGG":
        """Return the network on another device, or in another precision."""
        tensors = {}
        for name, kernel in self.kernels.items():
            tensors[f"{name}.weight"] = kernel.weight.to(device=device, dtype=dtype)
            tensors[f"{name}.bias"] = kernel.bias.to(device=device, dtype=dtype)
        return VGG(
            self.convolutions, tensors, self.mean, pooling=self.pooling, padding=self.padding, method=self.method
        )

    def __call__(self, image: Image, names: Iterable[str], padding: Padding | None = None) -> LayerFeatures:
        """Return the features of `image` at the named layers.

        Args:
            image: (B, 3, H, W) sRGB in [0, 1], of any size.
            names: such as `relu4_2`, or `rgb` for the image itself.
            padding: for this image; None for the network's own.

        Returns:
            Features by name, (B, C, H / stride, W / stride) rounded up, in the order of evaluation.

        Raises:
            RecipeError: a layer that a VGG with these convolutions does not have.

        """
        return {name: features for name, features in self.walk(image, names, padding) if isinstance(features, Tensor)}

    def walk(
        self,
        image: Image,
        names: Iterable[str],
        padding: Padding | None = None,
        *,
        summed: Mapping[str, layers.Core | None] | None = None,
    ) -> Iterator[tuple[str, Features | Moments]]:
        """Yield (name, features) layer by layer, so that features done with at once need not be kept in memory.

        For layers in `summed` only the moments are needed, over the rows and columns given there. Where that saves
        memory, the moments are yielded instead of the features.

        Args:
            image: (B, 3, H, W) sRGB in [0, 1].
            names: of the layers.
            padding: for this image; None for the network's own.
            summed: the rows and columns by layer.

        """
        remaining, summed = set(names), summed or {}
        vgg_layers.check_layers(remaining, self.convolutions)
        if vgg_layers.PIXELS in remaining:
            yield vgg_layers.PIXELS, image
        remaining -= {vgg_layers.PIXELS}
        if not remaining:
            return
        x = layers.to_fast_layout((image - self._mean.to(image.dtype)).to(self.dtype), self.method)
        padding = padding or self.padding
        for _, group in itertools.groupby(self.convolutions, lambda convolution: convolution.block):
            block = tuple(group)
            if self._can_fuse(x, block, remaining, set(summed), padding):
                kernels = [self.kernels[convolution.name] for convolution in block]
                x, moments = layers.convolve_block(x, kernels[0], kernels[1], summed.get(block[0].rectified))
                if block[0].rectified in remaining:
                    yield block[0].rectified, moments
                remaining -= {block[0].rectified}
                continue
            for convolution in block:
                rectified = convolution.rectified in remaining
                if convolution.name in remaining:
                    x = self.convolve(x, convolution.name, padding)
                    yield convolution.name, x
                    x = F.relu(x)
                elif rectified or convolution is not block[-1] or self.pooling != "max":
                    x = self.convolve(x, convolution.name, padding, relu=True)
                else:
                    x = self.convolve(x, convolution.name, padding)
                remaining -= {convolution.name, convolution.rectified}
                if rectified:
                    yield convolution.rectified, x
                if not remaining:
                    return
            x = _pool(x, self.pooling)

    def _can_fuse(
        self, x: Tensor, block: tuple[Convolution, ...], remaining: set[str], summed: set[str], padding: Padding
    ) -> bool:
        """Whether a block is computed in bands: its inner features are not needed, and would take much memory."""
        if self.pooling != "max" or len(block) != 2:
            return False
        zeros = padding == "zeros" or (padding == "replicate" and block[0] is not self.convolutions[0])
        inside = {name for convolution in block for name in (convolution.name, convolution.rectified)}
        names = remaining & inside
        return (
            zeros and names <= summed & {block[0].rectified} and bool(remaining - inside) and layers.is_worth_bands(x)
        )

    def convolve(self, x: Tensor, name: str, padding: Padding, *, relu: bool = False) -> Tensor:
        """Return the output of a convolution, of the size of `x`.

        Args:
            x: (B, C, H, W) the layer's input.
            name: of the convolution.
            padding: around `x`.
            relu: whether to return the ReLU of it.

        """
        kernel, convolve = self.kernels[name], layers.convolve_relu if relu else layers.convolve
        if padding == "zeros" or (padding == "replicate" and name != self.convolutions[0].name):
            return convolve(x, kernel, 1)
        # A map one position wide has nothing to mirror; its only column is repeated.
        mode = "replicate" if padding == "reflect" and min(x.shape[2:]) == 1 else padding
        return convolve(F.pad(x, (1, 1, 1, 1), mode=mode), kernel, 0)


def _pool(x: Tensor, pooling: Pooling) -> Tensor:
    # Sizes are rounded up, as in Caffe, in which the paper's network was written: no pixel at the border is left out.
    if pooling == "max":
        return layers.relu_max_pool(x)
    if pooling == "average":
        return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    # sqrt has infinite gradient at 0, which rectified features often are; 1e-8 is far below any that matters.
    return (F.avg_pool2d(x * x, 2, ceil_mode=True, count_include_pad=False) + 1e-8).sqrt()


def load(
    name: str,
    *,
    pooling: Pooling = "max",
    padding: Padding = "zeros",
    activity: Activity = "published",
    method: Method | None = None,
) -> VGG:
    """Return the network of that name, on the CPU.

    Args:
        name: one of `impasto.recipe.vgg_layers.NETWORKS`.
        pooling: see `VGG`.
        padding: see `VGG`.
        activity: `unit-mean` rescales the weights so that every filter's mean activation is 1, Gatys et al. 2016.
        method: the convolution method on a CPU in float32; None for the fastest on this machine.

    Raises:
        WeightsError: the weights are not on this machine, or damaged.

    """
    published = weights.load(name)
    tensors, convention = dict(published), published.convention
    first = f"{published.spec.convolutions[0].name}.weight"
    # Weights may be published for BGR, for 0..255, or for pixels divided by a deviation. W ((x white - mean) / std)
    # equals (W white / std) (x - mean / white), so scaling the kernel's input channels makes it fit RGB in [0, 1].
    scale = torch.tensor([convention.white / deviation for deviation in convention.std])
    tensors[first] = tensors[first] * scale.view(1, 3, 1, 1)
    mean = [value / convention.white for value in convention.mean]
    if convention.order == "BGR":
        tensors[first] = tensors[first].flip(1)
        mean.reverse()
    vgg = VGG(published.spec.convolutions, tensors, mean, pooling=pooling, padding=padding, method=method)
    return vgg if activity == "published" else normalize_activations(vgg, activation_means(name, vgg))


def normalize_activations(vgg: VGG, means: Mapping[str, Tensor]) -> VGG:
    """Return `vgg` with every filter's activations divided by their mean; after the ReLU only their scale changes.

    Every filter's kernel and bias are divided by its mean, and the matching input channel of the next layer's kernels
    is multiplied by it; ReLU and every pooling commute with positive factors. Source: Gatys et al. 2016, section 2.

    Args:
        vgg: the network.
        means: (C,) positive, the mean of every filter's rectified output, by its convolution's name, such as `conv4_2`.

    """
    tensors = {}
    before: Tensor | None = None
    for convolution in vgg.convolutions:
        kernel = vgg.kernels[convolution.name]
        mean = means[convolution.name]
        weight = kernel.weight / mean[:, None, None, None]
        tensors[f"{convolution.name}.weight"] = weight if before is None else weight * before[:, None, None]
        tensors[f"{convolution.name}.bias"] = kernel.bias / mean
        before = mean
    return VGG(vgg.convolutions, tensors, vgg.mean, pooling=vgg.pooling, padding=vgg.padding, method=vgg.method)


def activation_means(name: str, vgg: VGG) -> dict[str, Tensor]:
    """Return the mean activation of every filter over natural images, in float32, by convolution.

    Those of VGG-16 come with impasto (scripts/measure_activations). Others are measured on first use, on small
    photographs.
    """
    means = activations.load_means(name, vgg.pooling) or measure_means(vgg, activations.photographs())
    # Filters that few photographs activate are taken to be a tenth as active as their layer: see docs/deviations.md.
    return {key: mean.clamp(min=LEAST_ACTIVITY * mean.mean()).float() for key, mean in means.items()}


# Ours, judged by eye: without the floor, some sixteen of VGG-16's 4224 filters make up nearly all of the style loss,
# and no picture appears within 400 steps.
LEAST_ACTIVITY = 0.1


def measure_means(vgg: VGG, images: Iterable[Image]) -> dict[str, Tensor]:
    """Return the mean activation of every filter over all positions of `images`, in float64, by convolution."""
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
