"""Colours that a file names by code points: primaries and transfer of ITU-T H.273, as profiles to convert by.

PNG has them in cICP, AVIF and HEIC in nclx. HDR is mapped to the range of a screen by BT.2390's curve, channel by
channel, with white at BT.2408's 203 cd/m2; what is brighter is compressed.
"""

import functools
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Doubles: TypeAlias = NDArray[np.float64]

HDR: Final = "The picture is HDR; its brightness was compressed into that of an ordinary picture."
UNKNOWN: Final = "The picture's colours are of a kind that is not known here; they were taken as sRGB."

# H.273, table 2: x and y of red, green, blue and white.
_PRIMARIES: Final = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),  # BT.470 System M
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290),  # BT.601, 625 lines
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290),  # BT.601, 525 lines
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290),  # SMPTE 240M
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),  # generic film
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),  # BT.2020
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),  # DCI P3
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),  # Display P3
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290),  # EBU 3213-E
}
_SRGB_PRIMARIES: Final = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
# Table 2: BT.709, whose primaries are sRGB's; unspecified.
_USUAL_PRIMARIES: Final = (1, 2)
# Table 3: those of video, which browsers show with sRGB's curve; unspecified; sRGB.
_USUAL_TRANSFERS: Final = (1, 2, 6, 7, 11, 12, 13, 14, 15)
_PQ: Final = 16
_HLG: Final = 18
# BT.2408: the light of white in HDR, and BT.2100: the peak of the screen that HLG is made for; cd/m2.
_WHITE: Final = 203.0
_PEAK: Final = 1000.0
# littlecms interpolates between the points of a table.
_POINTS: Final = 4096


class NamedColors(NamedTuple):
    """What code points say: a profile to convert by, None for sRGB, and what a person should know."""

    profile: bytes | None
    notes: tuple[str, ...] = ()


@functools.lru_cache(maxsize=16)
def named_colors(primaries: int, transfer: int) -> NamedColors:
    """Return what a picture's code points say of its colours.

    Args:
        primaries: ColourPrimaries, H.273, table 2.
        transfer: TransferCharacteristics, H.273, table 3.

    """
    is_usual = primaries in _USUAL_PRIMARIES
    if is_usual and transfer in _USUAL_TRANSFERS:
        return NamedColors(None)
    curve = _CURVES.get(transfer, _decode_srgb if transfer in _USUAL_TRANSFERS else None)
    points = _SRGB_PRIMARIES if is_usual else _PRIMARIES.get(primaries)
    if curve is None or points is None:
        return NamedColors(None, (UNKNOWN,))
    import imagecodecs

    table = (np.clip(curve(np.linspace(0, 1, _POINTS)), 0, 1) * 65535).round().astype(np.uint16)
    red_green_blue = [value for x, y in zip(points[:6:2], points[1:6:2], strict=True) for value in (x, y, 1.0)]
    profile = imagecodecs.cms_profile(
        "rgb", whitepoint=[*points[6:], 1.0], primaries=red_green_blue, transferfunction=table
    )
    return NamedColors(bytes(profile), (HDR,) if transfer in (_PQ, _HLG) else ())


def _decode_srgb(values: Doubles) -> Doubles:
    """Return linear light of sRGB's code values, IEC 61966-2-1."""
    light: Doubles = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return light


def _decode_pq(values: Doubles) -> Doubles:
    """Return the light of PQ's code values, 1 is 10,000 cd/m2: SMPTE ST 2084."""
    power = np.clip(values, 0, 1) ** (1 / _M2)
    light: Doubles = (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return light


def _encode_pq(light: Doubles) -> Doubles:
    """Return the code values of light; the inverse of `_decode_pq`."""
    power = np.clip(light, 0, 1) ** _M1
    code: Doubles = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return code


def _compress_highlights(light: Doubles) -> Doubles:
    """Return light in cd/m2 as that of a screen whose white is 1: BT.2390-10, 5.4.1, from `_PEAK` to `_WHITE`."""
    peak, white = _encode_pq(np.array([_PEAK, _WHITE]) / 10_000)
    code = np.minimum(_encode_pq(light / 10_000) / peak, 1)
    most = white / peak
    knee = 1.5 * most - 0.5
    part = np.clip((code - knee) / (1 - knee), 0, 1)
    # A Hermite spline from the knee, with slope 1, to the brightest light of the screen, with slope 0.
    spline = (2 * part**3 - 3 * part**2 + 1) * knee + (part**3 - 2 * part**2 + part) * (1 - knee)
    spline += (-2 * part**3 + 3 * part**2) * most
    shown: Doubles = _decode_pq(np.where(code < knee, code, spline) * peak) * 10_000 / _WHITE
    return shown


def _decode_hlg(values: Doubles) -> Doubles:
    """Return the light of HLG's code values in cd/m2: BT.2100, table 5, each channel by itself."""
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    light: Doubles = _PEAK * scene**1.2
    return light


# SMPTE ST 2084
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# BT.2100, table 5
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073

# H.273, table 3: linear light of code values in [0, 1].
_CURVES: Final[dict[int, Callable[[Doubles], Doubles]]] = {
    4: lambda values: values**2.2,
    5: lambda values: values**2.8,
    8: lambda values: values,
    17: lambda values: np.minimum(values**2.6 * 52.37 / 48, 1),
    _PQ: lambda values: _compress_highlights(_decode_pq(values) * 10_000),
    _HLG: lambda values: _compress_highlights(_decode_hlg(values)),
}
