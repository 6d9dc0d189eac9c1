"""Resampling: another size in pixels, margins added and cut off."""

import torch
from torch.nn import functional as F

from impasto.ops.shapes import Planes, Resized


def resize(image: Planes, height: int, width: int, *, wraps: bool = False) -> Resized:
    """Return `image` at another size: bicubic, antialiased when it shrinks, clamped to [0, 1].

    It interpolates sRGB values, as the programs that impasto is compared with do.

    Args:
        image: (B, C, H, W) in [0, 1].
        height: in pixels.
        width: in pixels.
        wraps: whether opposite edges are neighbours, as in a seamless texture.

    """
    if image.shape[2:] == (height, width):
        return image
    if wraps:
        # Tile it three by three and keep the middle, so that beyond an edge lies the opposite one.
        tiled = interpolate(image.tile(1, 1, 3, 3), 3 * height, 3 * width, "bicubic").clamp(0, 1)
        return tiled[:, :, height : 2 * height, width : 2 * width].contiguous()
    return interpolate(image, height, width, "bicubic").clamp(0, 1)


def interpolate(planes: Planes, height: int, width: int, mode: str) -> Resized:
    """Return `planes` of any range at another size, antialiased when they shrink; `mode` as in PyTorch.

    Args:
        planes: (B, C, H, W) of any range.
        height: in pixels.
        width: in pixels.
        mode: `bicubic` or `bilinear`.

    """
    factor = max(planes.shape[2] / height, planes.shape[3] / width)
    source = planes.to(resizing_device(planes.device, factor))
    return F.interpolate(source, (height, width), mode=mode, align_corners=False, antialias=True).to(planes.device)


def resizing_device(device: torch.device, factor: float) -> torch.device:
    """Return the device that resizes planes of `device`: that one, or the CPU.

    CUDA's antialiasing kernel refuses to shrink by large factors, as its weights do not fit into shared memory. Metal
    has none in some of the PyTorch versions that impasto supports, and other devices are not known to have one.

    Args:
        device: of the planes.
        factor: by which the sides shrink, the larger of the two.

    """
    if device.type == "cpu" or (device.type == "cuda" and factor <= _LARGEST_FACTOR):
        return device
    return torch.device("cpu")


def with_margin(image: Planes, margin: int) -> Resized:
    """Return `image` with `margin` pixels around it: mirrored, or its edge repeated where it is too small for that."""
    mode = "reflect" if margin < min(image.shape[2:]) else "replicate"
    return F.pad(image, (margin,) * 4, mode=mode) if margin else image


def without_margin(image: Planes, margin: int) -> Resized:
    """Return `image` without `margin` pixels at each side."""
    height, width = image.shape[2:]
    return image[:, :, margin : height - margin, margin : width - margin]


# Half of what 48 KB of shared memory hold, as PyTorch's UpSampleBilinear2d.cu computes it; AMD's have room for 31.
_LARGEST_FACTOR = 24
