"""The Oklab colour space: lightness, chroma and hue as people see them, and clipping to the gamut of sRGB.

Ottosson 2020, "A perceptual color space for image processing", https://bottosson.github.io/posts/oklab/. L is 0 for
black and 1 for white; a and b are 0 for greys; their length is the chroma, their direction the hue.
"""

import torch
from torch import Tensor

from impasto.ops.shapes import Image, Lightness, Planes


def from_srgb(image: Image) -> Planes:
    """Return L, a and b, (B, 3, H, W), of sRGB in [0, 1]."""
    return _product(_LMS_TO_LAB, _cone_roots(image))


def lightness(image: Image) -> Lightness:
    """Return L, (B, 1, H, W) in [0, 1], of sRGB in [0, 1]."""
    return _product(_LMS_TO_LAB[:1], _cone_roots(image))


def grey(lightness: Lightness) -> Image:
    """Return greys, (B, 3, H, W) sRGB in [0, 1], of lightness in [0, 1]."""
    return _encode_gamma(lightness.clamp(0, 1) ** 3).expand(-1, 3, -1, -1).contiguous()


def to_srgb(lab: Planes, knee: float = 1.0, ends: float = 0.0) -> Image:
    """Return sRGB in [0, 1]; colours out of gamut lose chroma, with their lightness and hue unchanged.

    Args:
        lab: (B, 3, H, W) L, a and b, L in [0, 1].
        knee: fraction of the largest chroma in gamut up to which colours are unchanged, in (0, 1]. Chroma beyond is
            compressed into the rest, so that different colours stay different; with 1 it is cut off.
        ends: the least distance of a channel from 0 and 1, in [0, 1/2), as far as greys of that lightness allow.

    """
    linear = to_linear(lab)
    # Only the colours that need it, as a list: (1, 3, pixels, 1).
    at = (~is_in_gamut(to_linear(torch.cat([lab[:, :1], lab[:, 1:] / knee], 1)), ends)).nonzero(as_tuple=True)
    if at[0].numel():
        colors = lab.movedim(1, -1)[at].T[None, :, :, None]
        linear.movedim(1, -1)[at] = to_linear(_reduce_chroma(colors, knee, ends))[0, :, :, 0].T
    # Only rounding is clipped here.
    return _encode_gamma(linear.clamp(0, 1))


def _reduce_chroma(lab: Planes, knee: float, ends: float) -> Planes:
    """Return colours with chroma beyond `knee` compressed; the largest chroma in gamut is found by bisection."""
    light, chroma = lab[:, :1].clamp(0, 1), lab[:, 1:] / knee
    low = torch.zeros_like(light)
    width = torch.ones_like(light)
    for _ in range(_BISECTIONS):
        width = width / 2
        middle = torch.cat([light, (low + width) * chroma], 1)
        low = torch.where(is_in_gamut(to_linear(middle), ends)[:, None], low + width, low)
    # Beyond the knee a hyperbola, which starts with slope 1 and never reaches 1.
    beyond = (knee / low.clamp(min=_ROUNDING) - knee) / max(1 - knee, _ROUNDING)
    share = knee + (1 - knee) * beyond / (1 + beyond)
    return torch.cat([light, share * low * chroma], 1)


def is_in_gamut(linear: Image, ends: float = 0.0) -> Tensor:
    """Return, (B, H, W), which colours of linear sRGB have all channels `ends` or more away from 0 and 1, encoded."""
    low, high = (float(_decode_gamma(torch.tensor(end, dtype=torch.float64))) for end in (ends, 1 - ends))
    smallest, largest = linear.aminmax(dim=1)
    # Rounding below black is judged relative to the largest channel, as dark colours are small numbers.
    return (smallest >= low - _ROUNDING * largest) & (largest <= high + _ROUNDING)


def _cone_roots(image: Image) -> Planes:
    return _product(_RGB_TO_LMS, _decode_gamma(image)).clamp(min=0) ** (1 / 3)


def to_linear(lab: Planes) -> Image:
    """Return linear sRGB of Oklab's L, a and b, (B, 3, H, W); beyond [0, 1] for colours out of gamut."""
    return _product(_LMS_TO_RGB, _product(_LAB_TO_LMS, lab) ** 3)


def _decode_gamma(image: Tensor) -> Tensor:
    # IEC 61966-2-1, sRGB.
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def _encode_gamma(linear: Planes) -> Planes:
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)


def _product(matrix: Tensor, planes: Planes) -> Tensor:
    result: Tensor = (matrix.to(planes) @ planes.flatten(2)).view(planes.shape[0], -1, *planes.shape[2:])
    return result


# Ottosson 2020, from linear sRGB, as revised in 2021.
_RGB_TO_LMS = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=torch.float64,
    device="cpu",
)
_LMS_TO_LAB = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=torch.float64,
    device="cpu",
)
_LMS_TO_RGB = torch.linalg.inv(_RGB_TO_LMS)
_LAB_TO_LMS = torch.linalg.inv(_LMS_TO_LAB)
# Ours: 2^-14 of the chroma is far below a level of 16 bits.
_BISECTIONS = 14
# Ours: the rounding error of white in float32.
_ROUNDING = 3e-6
