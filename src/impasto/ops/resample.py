"""Resampling: another size in pixels, margins added and cut off."""

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
    """Return `planes` of any range at another size, antialiased when they shrink; `mode` as in PyTorch."""
    # Metal has no antialiased resampling in some of the PyTorch versions that impasto supports.
    source = planes.cpu() if planes.device.type == "mps" else planes
    return F.interpolate(source, (height, width), mode=mode, align_corners=False, antialias=True).to(planes.device)


def with_margin(image: Planes, margin: int) -> Resized:
    """Return `image` with `margin` pixels around it: mirrored, or its edge repeated where it is too small for that."""
    mode = "reflect" if margin < min(image.shape[2:]) else "replicate"
    return F.pad(image, (margin,) * 4, mode=mode) if margin else image


def without_margin(image: Planes, margin: int) -> Resized:
    """Return `image` without `margin` pixels at each side."""
    height, width = image.shape[2:]
    return image[:, :, margin : height - margin, margin : width - margin]
