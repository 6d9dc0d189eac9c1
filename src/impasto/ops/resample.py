"""Change of size."""

from torch.nn import functional as F

from impasto.ops.shapes import Planes, Resized


def resize(image: Planes, height: int, width: int, *, wraps: bool = False) -> Resized:
    """Return `image` at another size: bicubic, low-passed when it shrinks, clamped to [0, 1].

    Works on sRGB values as they are, as the programs compared with do. One that `wraps` goes on at its other side.
    """
    if image.shape[2:] == (height, width):
        return image
    if wraps:
        # Three pictures wide and high, of which the middle one is kept: what lies beyond an edge is the other side.
        tiled = interpolate(image.tile(1, 1, 3, 3), 3 * height, 3 * width, "bicubic").clamp(0, 1)
        return tiled[:, :, height : 2 * height, width : 2 * width].contiguous()
    return interpolate(image, height, width, "bicubic").clamp(0, 1)


def interpolate(planes: Planes, height: int, width: int, mode: str) -> Resized:
    """Return `planes` of any range at another size, low-passed when they shrink; `mode` as in torch."""
    # Metal has no antialiased resampling in all versions of torch that we run on.
    source = planes.cpu() if planes.device.type == "mps" else planes
    return F.interpolate(source, (height, width), mode=mode, align_corners=False, antialias=True).to(planes.device)


def with_margin(image: Planes, margin: int) -> Resized:
    """Return `image` with `margin` pixels around it: mirrored, and repeated where it is too small to mirror."""
    mode = "reflect" if margin < min(image.shape[2:]) else "replicate"
    return F.pad(image, (margin,) * 4, mode=mode) if margin else image


def without_margin(image: Planes, margin: int) -> Resized:
    """Return `image` with `margin` pixels cut off at each side."""
    height, width = image.shape[2:]
    return image[:, :, margin : height - margin, margin : width - margin]
