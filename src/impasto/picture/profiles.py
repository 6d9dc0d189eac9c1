"""Colour to sRGB through ICC profiles, at 8 and 16 bits, with littlecms as imagecodecs binds it.

Relative colorimetric with black point compensation: what is inside sRGB stays what it is, black stays black.

littlecms' 16-bit path puts a coarse table in the place of exact curves: Adobe RGB came out wrong by up to 0.07
(measured here against the closed form). Its float path is right to 5e-4 and keeps all levels, at 0.27 s a million
pixels instead of 0.06 s. So 16-bit and float samples take the float path. 8-bit samples go to 16 bits, right to 1.4e-3
(a third of an 8-bit level) in 0.015 s a million pixels.
"""

import functools
from typing import Literal

import numpy as np
from PIL import ImageCms

from impasto.picture.levels import Floats, Stored, bands, to_unit_range

Space = Literal["gray", "rgb", "cmyk", "lab"]

_SIGNATURES = {"gray": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK", "lab": b"Lab "}
_RELATIVE_COLORIMETRIC = 1  # ICC.1:2022, 7.2.15
_BLACK_POINT_COMPENSATION = 0x2000  # lcms2.h, cmsFLAGS_BLACKPOINTCOMPENSATION
_FULL_INK = 100  # lcms2 counts float inks in percent
# Half an 8-bit level: the many profiles that call themselves sRGB differ from each other by no more.
_SAME = 0.5 / 255

IGNORED = "The colour profile is damaged or does not fit the picture; it was ignored and the colours taken as sRGB."
TOO_LONG = "The colour profile is longer than any real one; it was ignored and the colours taken as sRGB."
NO_CMYK_PROFILE = "The picture is CMYK without a colour profile; its colours are approximate."


@functools.cache
def srgb_profile() -> bytes:
    """Return an sRGB profile: the same bytes every time, so that equal pictures give equal files."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # Bytes 24 to 35 hold the time of creation (ICC.1:2022, 7.2): 2000-01-01.
    data[24:36] = bytes.fromhex("07d0 0001 0001 0000 0000 0000")
    return bytes(data)


@functools.cache
def adobe_rgb_profile() -> bytes:
    """Return a profile with Adobe RGB (1998)'s primaries, white point and gamma."""
    import imagecodecs

    return bytes(imagecodecs.cms_profile("adobergb"))


def gamma_profile(space: Space, gamma: float, chromaticity: tuple[float, ...] | None) -> bytes | None:
    """Return the profile that a PNG's gAMA and cHRM chunks describe, or None where they say no more than sRGB.

    Args:
        space: "gray" or "rgb".
        gamma: The decoding exponent: linear = value ** gamma.
        chromaticity: x and y of white, red, green, blue; None for sRGB's.
    """
    import imagecodecs

    usual = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # IEC 61966-2-1
    points = chromaticity if chromaticity and len(chromaticity) == 8 else usual
    common = np.allclose(points, usual, atol=0.002) or space == "gray"
    # Writers that mean sRGB store 0.45455, which is not quite sRGB's curve; browsers read it as sRGB.
    if common and abs(gamma - 2.2) < 0.05:
        return None
    # Outside this range no screen or scanner has ever been; the chunk is damaged.
    if not 0.2 < gamma < 10:
        return None
    try:
        if space == "gray":
            return bytes(imagecodecs.cms_profile("gray", whitepoint=[*usual[:2], 1.0], gamma=gamma))
        primaries = [v for x, y in zip(points[2::2], points[3::2], strict=True) for v in (x, y, 1.0)]
        return bytes(imagecodecs.cms_profile("rgb", whitepoint=[*points[:2], 1.0], primaries=primaries, gamma=gamma))
    except (RuntimeError, ValueError):
        return None


def srgb_planes(values: Stored, space: Space, profile: bytes | None) -> tuple[Floats, str | None]:
    """Return what `to_srgb` does as planes (3, H, W), with little memory beside them: rows are converted in bands.

    Args:
        values: (H, W, C), as in `Samples.values`.
        space: What the channels mean.
        profile: ICC profile, or None for sRGB, grey with sRGB's curve, or bare inks.
    """
    height, width, _ = values.shape
    planes = np.empty((3, height, width), np.float32)
    notes: list[str | None] = []
    for rows in bands(height, width):
        colours, note = to_srgb(values[rows], space, profile)
        planes[:, rows] = np.moveaxis(colours, -1, 0)
        notes.append(note)
    if IGNORED in notes and notes.count(IGNORED) < len(notes):
        # A profile that gives no numbers for some colours is followed nowhere.
        return srgb_planes(values, space, None)[0], IGNORED
    return planes, notes[0]


def to_srgb(values: Stored, space: Space, profile: bytes | None) -> tuple[Floats, str | None]:
    """Return colours (H, W, C) as sRGB (H, W, 3) in [0, 1], and a note where the profile could not be followed.

    Colours outside sRGB are clipped.

    Args:
        values: As in `Samples.values`.
        space: What the channels mean.
        profile: ICC profile, or None for sRGB, grey with sRGB's curve, or bare inks.
    """
    if space == "lab":
        return _transform(values, "lab", _lab_profile()), None
    if profile is not None:
        converted = _convert_from_profile(values, space, profile)
        if converted is not None:
            return converted, None
    note = IGNORED if profile is not None else None
    if space == "gray":
        return np.repeat(to_unit_range(values), 3, axis=2), note
    if space == "cmyk":
        inks = to_unit_range(values)
        return (1 - inks[:, :, :3]) * (1 - inks[:, :, 3:]), note or NO_CMYK_PROFILE
    return to_unit_range(values), note


def _convert_from_profile(values: Stored, space: Space, profile: bytes) -> Floats | None:
    signature = profile[16:20]
    try:
        if space == "gray" and signature in (_SIGNATURES["gray"], _SIGNATURES["rgb"]):
            return _gray_to_srgb(values, profile)
        if signature != _SIGNATURES[space]:
            return None
        if space == "rgb" and _is_srgb(profile):
            return to_unit_range(values)
        return _transform(values, space, profile)
    except (RuntimeError, ValueError, TypeError):
        # CmsError is a RuntimeError; imagecodecs raises the others for profiles it cannot make sense of.
        return None


def _gray_to_srgb(values: Stored, profile: bytes) -> Floats:
    # Every level once, in float, instead of every pixel: exact and quick.
    target = (
        values if values.dtype.kind == "f" else np.arange(np.iinfo(values.dtype).max + 1)[np.newaxis, :, np.newaxis]
    )
    if values.dtype.kind != "f":
        target = (target / np.iinfo(values.dtype).max).astype(np.float32)
    if profile[16:20] == _SIGNATURES["gray"]:
        converted = _transform(target, "gray", profile)
    else:
        converted = _transform(np.repeat(target, 3, axis=2), "rgb", profile)
    return converted if values.dtype.kind == "f" else converted[0][values[:, :, 0]]


@functools.lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    """Tell by what it does, not by its name, whether a profile is sRGB."""
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(9, 81, 3)
    return bool(np.abs(_transform(grid, "rgb", profile) - grid).max() <= _SAME)


@functools.cache
def _lab_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


def from_srgb(pixels: Floats, space: Literal["rgb", "cmyk"], profile: bytes) -> Floats:
    """Return sRGB (H, W, 3) in [0, 1] as the numbers of a profile, (H, W, 3 or 4) in [0, 1]; 1 is full ink.

    Args:
        pixels: (H, W, 3) sRGB in [0, 1].
        space: of the profile.
        profile: an ICC profile.

    Raises:
        RuntimeError, ValueError, TypeError: littlecms cannot convert into the profile.
    """
    return _convert(pixels, "rgb", srgb_profile(), space, profile, _BLACK_POINT_COMPENSATION)


def to_screen(values: Floats, space: Literal["rgb", "cmyk"], profile: bytes) -> Floats:
    """Return the numbers of a profile as sRGB (H, W, 3), without black point compensation: pale blacks stay pale.

    Args:
        values: (H, W, 3 or 4) in [0, 1]; 1 is full ink.
        space: of the profile.
        profile: an ICC profile.

    Raises:
        RuntimeError, ValueError, TypeError: littlecms cannot convert from the profile.
    """
    return _convert(values, space, profile, "rgb", srgb_profile(), 0)


def _transform(values: Stored, space: Space, profile: bytes) -> Floats:
    return _convert(values, space, profile, "rgb", srgb_profile(), _BLACK_POINT_COMPENSATION)


def _convert(
    values: Stored, space: Space, profile: bytes, outspace: Literal["rgb", "cmyk"], target: bytes, flags: int
) -> Floats:
    import imagecodecs

    if values.dtype.kind == "f" and space == "cmyk":
        values = values * np.float32(_FULL_INK)
    if space == "gray":
        values = values[:, :, 0]
    converted = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        target,
        colorspace=space,
        outcolorspace=outspace,
        outdtype="uint16" if values.dtype == np.uint8 else "float32",
        intent=_RELATIVE_COLORIMETRIC,
        flags=flags,
    )
    result = to_unit_range(np.asarray(converted))
    if outspace == "cmyk" and values.dtype.kind == "f":
        result = result / np.float32(_FULL_INK)
    if not np.isfinite(result).all():
        raise ValueError("the profile gives no numbers")
    return np.clip(result, 0, 1)
