"""The colours of clips, described by code points, are converted to sRGB."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from impasto.video.clip import Clip

Floats = NDArray[np.float64]

# sRGB of four stripes.
COLORS = np.array([[200, 60, 60], [60, 200, 60], [128, 128, 128], [255, 255, 255]])
# ITU-R BT.2087, and Display P3 from the chromaticities of SMPTE EG 432-1: linear BT.709 to each.
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
TO_P3 = np.array([[0.8225, 0.1775, 0.0], [0.0332, 0.9668, 0.0], [0.0171, 0.0724, 0.9105]])


def linear(colors: Floats) -> Floats:
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def srgb(light: Floats) -> Floats:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(light: Floats) -> Floats:
    """SMPTE ST 2084, with white at 203 cd/m2."""
    power = (light * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: Floats) -> Floats:
    """ARIB STD-B67, of grey, with white at 203 of 1,000 cd/m2."""
    scene = (light * 0.203) ** (1 / 1.2)
    above = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), above)


def write(path: Path, colors: Floats, primaries: int, curve: int, matrix: int, side: int = 64) -> Path:
    """Write a lossless video of stripes, at 16 bits."""
    red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}[1 if matrix == 2 else matrix]
    stripes = np.repeat(colors, side // len(colors), axis=0)
    r, g, b = np.broadcast_to(stripes, (side, *stripes.shape)).transpose(2, 0, 1)
    y = red * r + (1 - red - blue) * g + blue * b
    planes = (y * 219 + 16, (b - y) / (2 * (1 - blue)) * 224 + 128, (r - y) / (2 * (1 - red)) * 224 + 128)
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("ffv1", rate=Fraction(10))
        stream.height, stream.width, stream.pix_fmt = side, len(stripes), "yuv444p16le"
        named = {"color_primaries": primaries, "color_trc": curve, "colorspace": matrix, "color_range": 1}
        frame = av.VideoFrame.from_ndarray(
            np.stack([(256 * plane).round().astype(np.uint16) for plane in planes], axis=-1), "yuv444p16le"
        )
        for name, value in named.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def stripes(path: Path) -> NDArray[np.int64]:
    pixels = next(Clip(path).shots()).pixels.astype(int)
    return pixels[len(pixels) // 2, pixels.shape[1] // 8 :: pixels.shape[1] // 4]


# FFmpeg takes seconds to make the table for each.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("primaries", "curve", "matrix", "encode"),
    [
        (12, 13, 1, lambda light: srgb(light @ TO_P3.T)),
        (9, 13, 9, lambda light: srgb(light @ TO_2020.T)),
        (9, 16, 9, lambda light: pq(light @ TO_2020.T)),
        (9, 18, 9, lambda light: hlg(light @ TO_2020.T)),
        # A transfer curve alone, as some cameras write it.
        (2, 16, 9, lambda light: pq(light @ TO_2020.T)),
    ],
    ids=["P3", "BT.2020", "PQ", "HLG", "PQ alone"],
)
def test_wide_and_bright_colours_become_srgb(
    primaries: int, curve: int, matrix: int, encode: Any, tmp_path: Path
) -> None:
    found = stripes(write(tmp_path / "a.mkv", encode(linear(COLORS / 255)), primaries, curve, matrix))
    # The brightness in HLG depends on all three channels together, so colours are different from grey.
    compared = slice(2, None) if curve == 18 else slice(None)
    assert np.abs(found - COLORS)[compared].max() <= 4


def test_usual_colours_stay(tmp_path: Path) -> None:
    assert np.abs(stripes(write(tmp_path / "a.mkv", COLORS / 255, 1, 1, 1)) - COLORS).max() <= 1


def test_a_large_film_that_names_no_matrix_has_that_of_hd(tmp_path: Path) -> None:
    assert np.abs(stripes(write(tmp_path / "a.mkv", COLORS / 255, 2, 2, 2, side=640)) - COLORS).max() <= 1
