"""The layers of a VGG, as fast as stock PyTorch computes them, saving only what the image's gradient needs.

The network's weights never change, so no layer saves its input. A convolution saves nothing, a max pooling with ReLU
two bytes and a bit for four positions: painting takes a quarter of the memory that autograd takes with standard layers.
"""

import functools
import math
from collections.abc import Iterator
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.ops.moments import Moments
from impasto.ops.numerics import is_half
from impasto.ops.shapes import Features, OutFeatures
from impasto.vgg import convolutions
from impasto.vgg.convolutions import Method

Sides = tuple[int, int]
Core = tuple[slice, slice]


class Kernel:
    """The weights of a 3 x 3 convolution, ready for the forward and the backward pass.

    Args:
        weight: (out, in, 3, 3).
        bias: (out,).
        method: the convolution method on a CPU in float32; None for the fastest on this machine.

    """

    def __init__(self, weight: Tensor, bias: Tensor, method: Method | None = None) -> None:
        self.weight = weight
        self.bias = bias
        self.method: Method = method or ("winograd" if prefers_nchw() else "default")

    @functools.cached_property
    def transposed(self) -> Tensor:
        """(in, out, 3, 3) the kernel whose convolution is the gradient with respect to the input."""
        turned = self.weight.flip(2, 3).transpose(0, 1)
        channels_last = self.weight.is_contiguous(memory_format=torch.channels_last)
        return turned.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def convolve(x: Features, kernel: Kernel, padding: int) -> OutFeatures:
    """Return the convolution of `x` with `padding` zeros around it, 0 or 1; once differentiable, by `x` only.

    Args:
        x: (B, in, H, W) features.
        kernel: 3 x 3, from `in` to `out` channels.
        padding: 0 or 1.

    """
    result: Tensor = _Convolution.apply(x, kernel, padding)  # type: ignore[no-untyped-call]
    return result


def convolve_relu(x: Features, kernel: Kernel, padding: int) -> OutFeatures:
    """Return the ReLU of `convolve`, in one pass where cuDNN computes both at once.

    Args:
        x: (B, in, H, W) features.
        kernel: 3 x 3, from `in` to `out` channels.
        padding: 0 or 1.

    """
    if not fuses_relu(x):
        return F.relu(convolve(x, kernel, padding), inplace=True)
    result: Tensor = _ConvolutionRelu.apply(x, kernel, padding)  # type: ignore[no-untyped-call]
    return result


class _Context(Protocol):
    """What the functions below keep for their backward passes, each a part of it."""

    saved_tensors: tuple[Tensor, ...]
    kernel: Kernel
    kernels: tuple[Kernel, Kernel]
    padding: int
    core: Core
    size: torch.Size

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors that are inputs or outputs."""
        ...


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor, kernel: Kernel, padding: int) -> Tensor:
        ctx.kernel, ctx.padding = kernel, padding
        return _convolve_fastest(x, kernel.weight, kernel.bias, (padding, padding), kernel.method)

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor, None, None]:
        padding = 2 - ctx.padding
        kernel = ctx.kernel
        return _convolve_fastest(gradients[0], kernel.transposed, None, (padding, padding), kernel.method), None, None


class _ConvolutionRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor, kernel: Kernel, padding: int) -> Tensor:
        ctx.kernel, ctx.padding = kernel, padding
        result = _convolve_relu_cudnn(x, kernel, padding)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = torch.ops.aten.threshold_backward(gradients[0], *ctx.saved_tensors, 0)
        padding = 2 - ctx.padding
        return _convolve_fastest(gradient, ctx.kernel.transposed, None, (padding, padding), "default"), None, None


def _convolve_relu_cudnn(x: Tensor, kernel: Kernel, padding: int) -> Tensor:
    try:
        return torch.cudnn_convolution_relu(x, kernel.weight, kernel.bias, (1, 1), (padding, padding), (1, 1), 1)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        # cuDNN knows no fused kernel for this card and dtype.
        REFUSED_FUSIONS.add((x.device, x.dtype))
        return F.conv2d(x, kernel.weight, kernel.bias, padding=padding).relu_()


def fuses_relu(x: Tensor) -> bool:
    """Whether cuDNN convolves features of this device and dtype and takes their ReLU at once."""
    is_cudnn = x.device.type == "cuda" and torch.version.hip is None and torch.backends.cudnn.is_acceptable(x)
    return is_cudnn and is_half(x.dtype) and (x.device, x.dtype) not in REFUSED_FUSIONS


# Where cuDNN has refused to compute convolution and ReLU at once.
REFUSED_FUSIONS: Final[set[tuple[torch.device, torch.dtype]]] = set()


def _convolve_fastest(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides, method: Method) -> Tensor:
    """Convolve by the method that is fastest for these sizes; `padding` is (rows, columns)."""
    if method == "winograd" and x.device.type == "cpu" and x.dtype == torch.float32:
        x = x.contiguous()
        if min(weight.shape[:2]) <= _FEW_CHANNELS:
            return convolve_by_products(x, weight, bias, padding)
        if x.shape[2] * x.shape[3] >= _WINOGRAD_POSITIONS:
            return convolve_by_winograd(x, weight, bias, padding)
    return F.conv2d(x, weight, bias, padding=padding)


def convolve_by_products(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
    """Convolve by one matrix product, which is fastest for the three channels of an image.

    Args:
        x: (B, in, H, W) features, contiguous.
        weight: (out, in, 3, 3).
        bias: (out,); None for none.
        padding: zeros above and below, and at the sides.

    """
    out, into = weight.shape[:2]
    height, width = _output_size(x, padding)
    if into < out:
        result = x.new_empty(x.shape[0], out, height, width)
        torch.matmul(weight.reshape(out, into * 9), F.unfold(x, 3, padding=padding), out=result.flatten(2))
        return result if bias is None else result.add_(bias[:, None, None])
    # Few output channels: multiply at every position, then add up what overlaps. Flipping the kernel turns the sum of
    # `fold` into a correlation.
    flat = weight.flip(2, 3).transpose(1, 2).transpose(2, 3).reshape(out * 9, into)
    product = flat @ x.flatten(2)
    folded = F.fold(product, (height, width), 3, padding=(2 - padding[0], 2 - padding[1]))
    return folded if bias is None else folded + bias[:, None, None]


def convolve_by_winograd(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
    """Convolve with NNPACK's Winograd method, in bands of rows where its buffers would take much memory.

    Args:
        x: (B, in, H, W) features, float32 and contiguous.
        weight: (out, in, 3, 3).
        bias: (out,); None for none.
        padding: zeros above and below, and at the sides.

    """
    height, width = _output_size(x, padding)
    # NNPACK transforms every 6 x 6 values, of input and output, into 8 x 8.
    row_bytes = width * sum(weight.shape[:2]) * x.element_size() * 64 / 36
    bands = math.ceil(height * row_bytes / _WINOGRAD_BYTES)
    if bands == 1:
        return torch._nnpack_spatial_convolution(x, weight, bias, padding=list(padding))
    step = 6 * math.ceil(height / bands / 6)
    result = x.new_empty(x.shape[0], weight.shape[0], height, width)
    for first in range(0, height, step):
        last = min(first + step, height)
        band = _rows(x, first - padding[0], last - padding[0] + 2)
        result[:, :, first:last] = torch._nnpack_spatial_convolution(band, weight, bias, padding=[0, padding[1]])
    return result


def _output_size(x: Tensor, padding: Sides) -> Sides:
    """Return height and width of the convolution's output."""
    return x.shape[2] + 2 * padding[0] - 2, x.shape[3] + 2 * padding[1] - 2


def _rows(x: Tensor, first: int, last: int) -> Tensor:
    """Return rows `first` to `last` of `x`, with zeros for those outside."""
    height = x.shape[2]
    inside = x[:, :, max(first, 0) : min(last, height)]
    return F.pad(inside, (0, 0, max(-first, 0), max(last - height, 0))) if first < 0 or last > height else inside


# Ours: half a megapixel in 64 channels is convolved at once; bands take slightly longer than the whole.
_WINOGRAD_BYTES = 300e6


def to_fast_layout(tensor: Tensor, method: Method) -> Tensor:
    """Return an image, features or a kernel in the memory layout that is fastest for the device and the method.

    On CUDA's devices that is channels-last in half precision, which tensor cores multiply, and contiguous in float32.
    On Metal it is contiguous: its pooling takes gradients of another layout for contiguous ones (pytorch 175190).
    """
    match tensor.device.type:
        case "cpu":
            is_nchw = method == "winograd"
        case "cuda":
            is_nchw = not is_half(tensor.dtype)
        case _:
            is_nchw = True
    return tensor.contiguous(memory_format=torch.contiguous_format if is_nchw else torch.channels_last)


def prefers_nchw() -> bool:
    """Whether contiguous (NCHW) features are fastest here, because NNPACK's Winograd convolution is.

    The choice is made once for all layers; see `impasto.vgg.convolutions`.
    """
    return convolutions.method() == "winograd"


# Ours, measured: for smaller maps, transforming the kernel in every call takes longer than it saves.
_WINOGRAD_POSITIONS = 24 * 24
# Ours, measured: at the image's three channels matrix products are faster, at 64 Winograd's method is.
_FEW_CHANNELS = 8


def relu_max_pool(x: Features) -> OutFeatures:
    """Return ReLU and 2 x 2 max pooling with `ceil_mode`; a tie sends its gradient to the first maximum."""
    # Metal's backward pass ignores the offsets that our own pooling keeps, so that one is for CPUs only.
    if x.device.type != "cpu" or not x.is_contiguous():
        return F.max_pool2d(x, 2, ceil_mode=True).relu_()
    result: Tensor = _ReluMaxPool.apply(x)  # type: ignore[no-untyped-call]
    return result


class _ReluMaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor) -> Tensor:
        result, offset, alive = relu_max(x)
        ctx.save_for_backward(offset, alive)
        ctx.size = x.shape[2:]
        return result

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> Tensor:
        offset, alive = ctx.saved_tensors
        return _unpool(gradients[0], offset, alive, *ctx.size)


def relu_max(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rectified maxima of 2 x 2 positions, their offsets in these, and whether each is positive."""
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        # Sizes are rounded up, as in Caffe, in which the paper's network was written. A repeated edge never exceeds the
        # edge.
        x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
    left, right = x[..., 0::2], x[..., 1::2]
    column = right > left
    wide = torch.maximum(left, right)
    upper, lower = wide[..., 0::2, :], wide[..., 1::2, :]
    row = lower > upper
    result = torch.maximum(upper, lower).relu_()
    # The column of the maximum in the row chosen, by operations that are fast on booleans.
    above, below = column[..., 0::2, :], column[..., 1::2, :]
    column = above ^ (row & (above ^ below))
    offset = column.to(torch.int32 if width > INT16_WIDTH else torch.int16).add_(row, alpha=width)
    return result, offset, result > 0


def _unpool(gradient: Tensor, offset: Tensor, alive: Tensor, height: int, width: int) -> Tensor:
    """Return the gradient with respect to the input of `relu_max`, which has that height and width."""
    gradient = gradient * alive
    rows, columns = (torch.arange(count, device=offset.device) for count in offset.shape[2:])
    index = (2 * width * rows[:, None] + 2 * columns) + offset
    like = gradient.new_empty(1).expand(*gradient.shape[:2], height, width)
    result: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
        gradient, like, [2, 2], [2, 2], [0, 0], [1, 1], True, index
    )
    return result


INT16_WIDTH = 2**15 - 2


def convolve_block(x: Features, first: Kernel, second: Kernel, core: Core | None = None) -> tuple[OutFeatures, Moments]:
    """Return the pooled output of a block of two convolutions, and the moments of its first layer after the ReLU.

    The result is that of `convolve` with padding 1, ReLU, `moments`, `convolve` and `relu_max_pool`. It is computed in
    bands of rows whose features are not saved; the backward pass computes the first layer again. Between these two
    convolutions lies half the memory of a VGG's features, for a thirtieth of its work.

    Args:
        x: (B, C, H, W) input of the block.
        first: the first convolution.
        second: the second convolution.
        core: the rows and columns whose moments are taken; None for all.

    """
    core = core or (slice(0, x.shape[2]), slice(0, x.shape[3]))
    result, total, outer = _Block.apply(x, first, second, core)  # type: ignore[no-untyped-call]
    count = total.new_full((x.shape[0],), math.prod(side.stop - side.start for side in core))
    return result, Moments(count, total, outer)


def is_worth_bands(x: Features) -> bool:
    """Whether `convolve_block` saves memory for a map of this size: not if it is a single band."""
    wide = x.dtype in (torch.float32, torch.float64)  # sums in half precision lose too many digits
    return wide and x.is_contiguous() and x.device.type == "cpu" and x.shape[2] * x.shape[3] > BAND_POSITIONS


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor, first: Kernel, second: Kernel, core: Core) -> tuple[Tensor, Tensor, Tensor]:
        height, width = x.shape[2:]
        middle, end = first.weight.shape[0], second.weight.shape[0]
        size = (x.shape[0], end, math.ceil(height / 2), math.ceil(width / 2))
        result, alive = x.new_empty(size), x.new_empty(size, dtype=torch.bool)
        offset = x.new_empty(size, dtype=torch.int32 if width > INT16_WIDTH else torch.int16)
        total, outer = x.new_zeros(x.shape[0], middle), x.new_zeros(x.shape[0], middle, middle)
        for top, bottom in row_bands(height, width):
            features = _relu_rows(x, first, max(top - 1, 0), min(bottom + 1, height))
            core_features = _core_rows(features[:, :, int(top > 0) :], core, top, bottom).flatten(2)
            total += core_features.sum(2)
            outer += core_features @ core_features.mT
            around = _rows(features, -int(top == 0), features.shape[2] + int(bottom == height))
            pooled = relu_max(_convolve_fastest(around, second.weight, second.bias, (0, 1), second.method))
            for stored, part in zip((result, offset, alive), pooled, strict=True):
                stored[:, :, top // 2 : math.ceil(bottom / 2)] = part
        ctx.save_for_backward(x, offset, alive)
        ctx.kernels, ctx.core = (first, second), core
        return result, total, outer

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        gradient, total, outer = gradients
        x, offset, alive = ctx.saved_tensors
        first, second = ctx.kernels
        height, width = x.shape[2:]
        both = outer + outer.mT
        result = torch.zeros_like(x)
        for top, bottom in row_bands(height, width):
            # One row more on each side, since the second convolution's outputs beyond the band depend on it.
            start, end = max(top - 2, 0), min(bottom + 2, height)
            rows = slice(start // 2, math.ceil(end / 2))
            slope = _unpool(gradient[:, :, rows], offset[:, :, rows], alive[:, :, rows], end - start, width)
            slope = _rows(slope, top - 1 - start, bottom + 1 - start)
            slope = _convolve_fastest(slope, second.transposed, None, (0, 1), second.method)
            features = _relu_rows(x, first, top, bottom)
            core_features = _core_rows(features, ctx.core, top, bottom)
            share = torch.baddbmm(total[:, :, None], both, core_features.flatten(2)).view_as(core_features)
            _core_rows(slope, ctx.core, top, bottom).add_(share)
            slope = torch.ops.aten.threshold_backward(slope, features, 0)
            part = _convolve_fastest(slope, first.transposed, None, (2, 1), first.method)
            inside = slice(max(top - 1, 0), min(bottom + 1, height))
            result[:, :, inside] += _rows(part, inside.start - top + 1, inside.stop - top + 1)
        return result, None, None, None


def _core_rows(features: Tensor, core: Core, top: int, bottom: int) -> Tensor:
    """Return the part of a band's features, rows `top` to `bottom`, that lies in the core; a view."""
    first, last = max(core[0].start, top), min(core[0].stop, bottom)
    return features[:, :, max(first - top, 0) : max(last - top, 0), core[1]]


def _relu_rows(x: Tensor, kernel: Kernel, first: int, last: int) -> Tensor:
    return _convolve_fastest(_rows(x, first - 1, last + 1), kernel.weight, kernel.bias, (0, 1), kernel.method).relu_()


def row_bands(height: int, width: int) -> Iterator[Sides]:
    """Yield (first row, row after the last) of each band; each begins at an even row, as poolings need."""
    count = math.ceil(height * width / BAND_POSITIONS)
    step = 6 * math.ceil(height / count / 6)
    for top in range(0, height, step):
        yield top, min(top + step, height)


# Ours, measured: larger bands are no faster, smaller ones slower.
BAND_POSITIONS = 80_000
