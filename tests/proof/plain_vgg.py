"""VGG and its chain rule, written by hand in NumPy, without autograd and without code of impasto."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# The poolings of the paper and of its authors' code.
Pooling = Literal["average", "max"]
# A loss of the rectified features at one layer, (N, H, W). It returns its value and its derivative by the features.
LayerLoss = Callable[[Array], tuple[float, Array]]
# A loss with its layer and its weight in the total.
Part = tuple[str, float, LayerLoss]


@dataclass(frozen=True)
class Convolution:
    """One 3 x 3 convolution: `relu4_2` is the layer it makes."""

    layer: str
    kernel: Array  # (out, in, 3, 3)
    bias: Array  # (out,)

    @property
    def block(self) -> int:
        return int(self.layer[len("relu")])


@dataclass(frozen=True)
class PlainVGG:
    """VGG of an image (3, H, W) minus `mean`, channel by channel."""

    convolutions: Sequence[Convolution]
    mean: Array
    pooling: Pooling

    def forward(self, image: Array) -> tuple[dict[str, Array], list[Callable[[Array], Array]]]:
        """Return the rectified features by layer and, for each convolution, the function for its backward pass."""
        x = image - self.mean[:, None, None]
        features: dict[str, Array] = {}
        ways_back = []
        block = 1
        for convolution in self.convolutions:
            if convolution.block == block:
                pooled: Array = x
                unpool: Callable[[Array], Array] = _identity
            elif self.pooling == "average":
                pooled, unpool = average_pool(x)
            else:
                pooled, unpool = max_pool(x)
            block = convolution.block
            response = convolve(pooled, convolution.kernel) + convolution.bias[:, None, None]
            x = np.maximum(response, 0)
            features[convolution.layer] = x
            ways_back.append(_way_back(convolution.kernel, response > 0, unpool))
        return features, ways_back

    def backward(self, ways_back: Sequence[Callable[[Array], Array]], slopes: Mapping[str, Array]) -> Array:
        """Return the derivative of losses by the image, given their derivatives by the features at some layers."""
        deepest = max(index for index, c in enumerate(self.convolutions) if c.layer in slopes)
        slope: Array | float = 0.0
        for convolution, way_back in reversed(list(zip(self.convolutions, ways_back, strict=True))[: deepest + 1]):
            slope = way_back(np.asarray(slope + slopes.get(convolution.layer, 0.0)))
        return np.asarray(slope)

    def loss(self, image: Array, parts: Sequence[Part]) -> tuple[float, Array]:
        """Return the sum of weighted losses, each at a layer, and its derivative by the image."""
        features, ways_back = self.forward(image)
        total = 0.0
        slopes: dict[str, Array] = {}
        for layer, weight, part in parts:
            value, slope = part(features[layer])
            total += weight * value
            slopes[layer] = slopes.get(layer, 0.0) + weight * slope
        return total, self.backward(ways_back, slopes)


def _identity(slope: Array) -> Array:
    return slope


def _way_back(kernel: Array, passed: NDArray[np.bool_], unpool: Callable[[Array], Array]) -> Callable[[Array], Array]:
    # The ReLU passes the derivative where its input was positive; elsewhere it is 0.
    return lambda slope: unpool(convolve_back(slope * passed, kernel))


def convolve(x: Array, kernel: Array) -> Array:
    """y[o, h, w] = sum over i, u, v of kernel[o, i, u, v] x[i, h + u - 1, w + v - 1], zero outside."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = np.zeros((kernel.shape[0], height, width))
    for u in range(3):
        for v in range(3):
            y += np.tensordot(kernel[:, :, u, v], padded[:, u : u + height, v : v + width], axes=1)
    return y


def convolve_back(slope: Array, kernel: Array) -> Array:
    """The derivative by x: every y[o, h, w] contributes its own to each x it depends on, times the weight."""
    height, width = slope.shape[1:]
    padded = np.zeros((kernel.shape[1], height + 2, width + 2))
    for u in range(3):
        for v in range(3):
            padded[:, u : u + height, v : v + width] += np.tensordot(kernel[:, :, u, v].T, slope, axes=1)
    return padded[:, 1:-1, 1:-1]


def _cells(x: Array, filling: float) -> Array:
    """(N, H, W) to (N, ceil(H / 2), ceil(W / 2), 4): the positions of each cell, with `filling` for missing ones."""
    n, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, height % 2), (0, width % 2)), constant_values=filling)
    cells = padded.reshape(n, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2)
    return cells.transpose(0, 1, 3, 2, 4).reshape(n, cells.shape[1], cells.shape[3], 4)


def _uncells(cells: Array, height: int, width: int) -> Array:
    n, rows, columns, _ = cells.shape
    x = cells.reshape(n, rows, columns, 2, 2).transpose(0, 1, 3, 2, 4).reshape(n, 2 * rows, 2 * columns)
    return x[:, :height, :width]


def average_pool(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return the mean of each 2 x 2 cell, at the border of the positions that exist, and its backward pass."""
    count = _cells(np.ones_like(x), 0).sum(3)

    def back(slope: Array) -> Array:
        return _uncells(np.repeat((slope / count)[..., None], 4, axis=3), *x.shape[1:])

    return _cells(x, 0).sum(3) / count, back


def max_pool(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return the maximum of each 2 x 2 cell, and its backward pass, which is to the first of equal maxima."""
    cells = _cells(x, -np.inf)
    largest = np.arange(4) == cells.argmax(3)[..., None]

    def back(slope: Array) -> Array:
        return _uncells(np.where(largest, slope[..., None], 0.0), *x.shape[1:])

    return cells.max(3), back
