"""Transfer of colours: a picture recoloured with the colour statistics of others."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.ops.moments import Moments, blend, moments
from impasto.ops.numerics import with_float64
from impasto.ops.shapes import Image, Mask, Matrix, Planes
from impasto.recipe import ColorMatch


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours of one or several pictures, in the forms that the transfer methods need.

    Attributes:
        moments: of the sRGB pixels, each picture with its weight.
        pixels: (N, 3) float64 sRGB, a sample.
        weights: (N,) float64, of the sampled pixels; they sum to the pictures' weights.

    """

    moments: Moments
    pixels: Tensor
    weights: Tensor


def palette(pictures: Iterable[tuple[Tensor, float, Mask | None]]) -> Palette:
    """Return the palette of some pictures: (1, 3, H, W) sRGB each, with a weight, and a mask or None for all pixels."""
    has_mask, samples, shares = [], [], []
    for picture, weight, mask in pictures:
        # On the CPU, where it is quick, and since MPS has no float64.
        pixels = picture.cpu().double()
        counts = None if mask is None else mask.cpu().double().clamp(min=_LEAST)
        has_mask.append((moments(pixels, counts), weight))
        sample = _sample(pixels)
        pixel_weights = torch.ones_like(sample[:, 0]) if counts is None else _sample(counts)[:, 0]
        samples.append(sample)
        shares.append(pixel_weights * weight / pixel_weights.sum())
    return Palette(blend(has_mask), torch.cat(samples), torch.cat(shares))


def recolor(
    image: Image, colors: Palette, method: ColorMatch, mask: Mask | None = None, shoulder: float = 0.0
) -> Image:
    """Return `image` with the colours of a palette, its values clipped or compressed into [0, 1].

    The whole image is recoloured, such that the pixels in the mask get the palette's colours.

    Args:
        image: (1, 3, H, W) sRGB in [0, 1].
        colors: the palette.
        method: how the colours are matched.
        mask: (1, 1, H, W) weights of the pixels that are to match; None for all of them.
        shoulder: see `clip_or_compress`.

    """
    if method == "histogram":
        return clip_or_compress(Transport(image, colors, mask)(image), shoulder).to(image)
    source = None if mask is None else moments(image.cpu().double(), mask.cpu().double().clamp(min=_LEAST))
    return clip_or_compress(match(image.cpu().double(), colors.moments, method, source), shoulder).to(image)


def clip_or_compress(values: Tensor, shoulder: float = 0.0) -> Tensor:
    """Return values in [0, 1]: clipped, or compressed within `shoulder` of the ends, which keeps their order."""
    if not shoulder:
        return values.clamp(0, 1)

    def drawn_up(values: Tensor) -> Tensor:
        # A hyperbola that starts with slope 1 and never reaches 0.
        return torch.where(values < shoulder, shoulder**2 / (2 * shoulder - values.clamp(max=shoulder)), values)

    return 1 - drawn_up(1 - drawn_up(values))


def match(
    image: Image, colors: Moments, method: ColorMatch = "monge-kantorovich", source: Moments | None = None
) -> Image:
    """Return `image` with its colours mapped linearly to the mean and covariance of `colors`, not clipped.

    Args:
        image: (1, 3, H, W) sRGB in [0, 1].
        colors: moments of the sRGB pixels to match, C = 3.
        method: any but `histogram`, which needs more than moments.
        source: moments of the pixels of `image` that are to match, in float64; None for all of them.

    """
    source = source or moments(image.double())
    transport = linear_map(_with_ridge(source.covariance), _with_ridge(colors.covariance.to(source.mean)), method)
    centred = image.double().flatten(2) - source.mean[:, :, None]
    matched: Image = transport @ centred + colors.mean.to(source.mean)[:, :, None]
    return matched.view_as(image).type_as(image)


def linear_map(source: Matrix, target: Matrix, method: ColorMatch) -> Matrix:
    """Return a matrix T with T source T^T = target, both symmetric and positive definite.

    There is one for each rotation. `monge-kantorovich` moves colours least (Pitie and Kokaram 2007). `cholesky` and
    `symmetric` are from Gatys et al. 2016, "Preserving color in neural artistic style transfer", the second after
    Hertzmann's image analogies. `pca` maps principal axes to each other, in the order of their lengths.

    Args:
        source: (B, 3, 3) covariance.
        target: (B, 3, 3) covariance.
        method: one of those above.

    Raises:
        ValueError: `histogram` is no linear map.

    """
    transport: Matrix
    match method:
        case "monge-kantorovich":
            source_root = root(source)
            inverse = torch.linalg.inv(source_root)
            transport = inverse @ root(source_root @ target @ source_root) @ inverse
        case "cholesky":
            transport = torch.linalg.cholesky(target) @ torch.linalg.inv(torch.linalg.cholesky(source))
        case "symmetric":
            transport = root(target) @ torch.linalg.inv(root(source))
        case "pca":
            (lengths, axes), (target_lengths, directions) = torch.linalg.eigh(source), torch.linalg.eigh(target)
            # An axis has no direction; take the one that turns it less.
            agree = torch.where((axes * directions).sum(1, keepdim=True) < 0, -1.0, 1.0)
            transport = (directions * agree * (target_lengths / lengths).sqrt()[:, None, :]) @ axes.mT
        case "histogram":
            raise ValueError("a histogram is not matched by a linear map")
    return transport


def root(matrix: Matrix) -> Matrix:
    """Return the symmetric square root of symmetric positive semidefinite matrices."""
    # Metal has no eigenvalue decomposition.
    eigenvalues, vectors = torch.linalg.eigh(with_float64(matrix))
    result: Matrix = (vectors * eigenvalues.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
    return result.to(matrix.device)


def _with_ridge(covariance: Matrix) -> Matrix:
    # A picture of one colour has no spread to scale; 1e-6, a quarter of an 8-bit level squared, stands in for it.
    return covariance + _RIDGE * torch.eye(3, dtype=covariance.dtype, device=covariance.device)


class Transport:
    """A map of colours from one distribution to another, fitted to samples and applied to any number of pixels.

    Iterated one-dimensional optimal transport along rotated axes: Pitie, Kokaram and Dahyot 2007, "Automated colour
    grading using colour distribution transfer".

    Args:
        image: (1, 3, H, W) sRGB in [0, 1], whose colours are mapped.
        colors: the palette that they are mapped to.
        mask: (1, 1, H, W) weights of the pixels whose colours are to match; None for 1 everywhere.

    """

    def __init__(self, image: Image, colors: Palette, mask: Mask | None = None) -> None:
        # On the CPU in float64, for a sample only.
        sample = _sample(image).cpu().double().T
        weights = torch.ones_like(sample[0]) if mask is None else _sample(mask).cpu().double()[:, 0].clamp(min=_LEAST)
        weights = weights / weights.sum()
        self._steps: list[tuple[Tensor, tuple[_Table, ...]]] = []
        for rotation in rotations():
            source, target = rotation.T @ sample, rotation.T @ colors.pixels.T
            tables = tuple(
                _Table.between(_quantiles(values, weights), _quantiles(aims, colors.weights))
                for values, aims in zip(source, target, strict=True)
            )
            sample = rotation @ torch.stack(
                [table.look_up(values) for table, values in zip(tables, source, strict=True)]
            )
            self._steps.append((rotation, tables))

    def __call__(self, image: Image) -> Image:
        """Return `image`, (1, 3, H, W), with its colours mapped, in float32 and not clipped."""
        result = torch.empty_like(image, dtype=torch.float32, memory_format=torch.contiguous_format)
        mapped, pixels = result.view(3, -1), image.flatten(2)[0]
        steps = [
            (rotation.float().to(image.device), [table.to(image.device) for table in tables])
            for rotation, tables in self._steps
        ]
        for start in range(0, pixels.shape[1], _BLOCK):
            block = pixels[:, start : start + _BLOCK].float()
            for rotation, tables in steps:
                axes = _rotate(rotation.T, block)
                moved = [table.look_up(values) for table, values in zip(tables, axes, strict=True)]
                block = _rotate(rotation, torch.stack(moved))
            mapped[:, start : start + _BLOCK] = block
        return result


def _rotate(rotation: Tensor, pixels: Tensor) -> Tensor:
    """Return the product of a (3, 3) matrix with (3, N), without the reduced precision of GPUs."""
    return rotation[:, :1] * pixels[0] + rotation[:, 1:2] * pixels[1] + rotation[:, 2:] * pixels[2]


@dataclass(frozen=True, eq=False)
class _Table:
    """A monotonic function as its values at even steps, since that is several times as fast as searching."""

    start: float
    step: float
    values: Tensor

    @classmethod
    def between(cls, source: Tensor, target: Tensor) -> "_Table":
        """Return the function that maps the quantiles of `source` to those of `target`, both ascending."""
        # A value that fills several quantiles, as in even pictures, maps to the mean of theirs.
        levels, where, counts = torch.unique(source, return_inverse=True, return_counts=True)
        moved = torch.zeros_like(levels).index_add(0, where, target) / counts
        start, end = float(levels[0]), float(levels[-1])
        even = torch.linspace(start, end, _STEPS, dtype=levels.dtype)
        return cls(start, max((end - start) / (_STEPS - 1), 1e-12), _interpolate(even, levels, moved))

    def to(self, device: torch.device) -> "_Table":
        """Return the table in float32 on a device."""
        return _Table(self.start, self.step, self.values.float().to(device))

    def look_up(self, values: Tensor) -> Tensor:
        """Return the function's values at `values`, linearly interpolated, and constant beyond the table's ends."""
        position = ((values - self.start) / self.step).clamp_(0, _STEPS - 1)
        lower = position.long().clamp_(max=_STEPS - 2)
        result: Tensor = torch.lerp(self.values[lower], self.values[lower + 1], position - lower)
        return result


def _interpolate(values: Tensor, knots: Tensor, moved: Tensor) -> Tensor:
    right = torch.searchsorted(knots, values).clamp(max=len(knots) - 1)
    lower = (right - 1).clamp(min=0)
    part = ((values - knots[lower]) / (knots[right] - knots[lower]).clamp(min=1e-12)).clamp(0, 1)
    return torch.lerp(moved[lower], moved[right], part)


def _quantiles(values: Tensor, weights: Tensor) -> Tensor:
    order = values.argsort(stable=True)
    shares = weights[order].cumsum(0)
    levels = (torch.arange(_LEVELS, dtype=values.dtype) + 0.5) / _LEVELS * shares[-1]
    indices = torch.searchsorted(shares, levels).clamp(max=len(values) - 1)
    return values[order][indices]


@functools.cache
def rotations() -> tuple[Tensor, ...]:
    """Return the rotations of the axes; the first and the last are the identity, so that the channels match."""
    generator = torch.Generator().manual_seed(0)
    plain = torch.eye(3, dtype=torch.float64)
    gaussian = torch.randn(_ROTATIONS - 2, 3, 3, dtype=torch.float64, generator=generator)
    # Rotations from the QR decomposition; with the signs of R's diagonal taken out, they are evenly distributed.
    rotations, triangles = torch.linalg.qr(gaussian)
    rotations = rotations * triangles.diagonal(dim1=1, dim2=2).sign()[:, None, :]
    return (plain, *rotations, plain)


def _sample(picture: Planes) -> Tensor:
    """Return some 16384 pixels at most, (N, C), evenly spread over the picture."""
    height, width = picture.shape[2:]
    stride = -(-height * width // _SAMPLE)
    # A stride coprime to the width samples every column.
    while math.gcd(stride, width) > 1:
        stride += 1
    return picture.flatten(2)[0].T[::stride]


_RIDGE = 1e-6
# Ours: more quantiles than 8 bits have levels.
_LEVELS = 1024
# Ours: with 12 the mean distance along any axis is under one and a half 8-bit levels;
# see tests/ops/test_color_transfer.py.
_ROTATIONS = 12
# Ours: 16 pixels per quantile.
_SAMPLE = 16384
# Ours: a sixteenth of an 8-bit level if the picture uses the full range.
_STEPS = 4096
# Ours: pixels mapped at once, which bounds the memory beside the image.
_BLOCK = 1 << 20
# Ours, relative to the largest weight: a mask without pixels still needs a positive sum to divide by.
_LEAST = 1e-6
