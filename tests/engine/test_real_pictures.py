"""The default recipe on real pictures with the real network, at small sizes: measures of visible faults.

The bounds are far from the measured values, which are in brackets, so that only a clearly faulty picture exceeds them.
"""

import numpy as np
import pytest
import torch

import impasto
from benchmarks import quality
from impasto.ops.resample import resize
from impasto.picture import Picture, read_picture
from tests.conftest import SAMPLES


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("rocket", "night_swirls"), marks=pytest.mark.slow),
        pytest.param(("coffee", "bauhaus"), marks=pytest.mark.slow),
        ("astronaut", "woodcut"),
    ],
)
def painted(request: pytest.FixtureRequest) -> tuple[Picture, Picture, Picture]:
    """The result, the photo and the painting."""
    content, style = (read_picture(SAMPLES / f"{name}.jpg") for name in request.param)
    return impasto.stylize(content, style, size=128, device="cpu"), content, style


def gradients(pixels: np.ndarray) -> np.ndarray:
    """Mean difference between each column and the next."""
    return np.asarray(np.abs(np.diff(pixels, axis=2)).mean(axis=(0, 1)))


def test_it_is_painted_in_the_style_and_still_the_photo(painted: tuple[Picture, Picture, Picture]) -> None:
    result, photo, style = (quality.tensor(picture) for picture in painted)
    photo, style = resize(photo, *result.shape[2:]), resize(style, *result.shape[2:])
    closer = quality.style_distance(result, style) / quality.style_distance(photo, style)
    assert closer < 0.5  # [0.14 to 0.25]
    unrelated = quality.content_distance(style, photo)
    assert quality.content_distance(result, photo) < 0.9 * unrelated  # [0.34 to 0.66]


def test_borders_are_as_the_middle(painted: tuple[Picture, Picture, Picture]) -> None:
    pixels = painted[0].pixels
    for turned in (pixels, pixels.transpose(0, 2, 1)):
        across = gradients(turned)
        middle = across[8:-8].mean()
        # A faulty border is two to four times as rough as the rest, or as smooth.
        for strip in (across[:3], across[-3:]):
            assert 0.3 < strip.mean() / middle < 2.2  # [0.69 to 1.33]


def test_no_more_is_clipped_than_in_the_painting_and_the_photo(painted: tuple[Picture, Picture, Picture]) -> None:
    def clipped(picture: Picture) -> float:
        return float(((picture.pixels < 1 / 255) | (picture.pixels > 254 / 255)).mean())

    result, photo, style = painted
    assert clipped(result) < clipped(photo) + clipped(style) + 0.1  # [0.01 to 0.11 less than both]


def test_no_checkerboard(painted: tuple[Picture, Picture, Picture]) -> None:
    # The energy at the highest frequency of both axes, relative to the energy of all fine detail.
    grey = torch.from_numpy(painted[0].pixels.mean(axis=0))[None, None]
    kernels = torch.tensor([[[[1.0, -1.0], [-1.0, 1.0]]], [[[1.0, 1.0], [-1.0, -1.0]]], [[[1.0, -1.0], [1.0, -1.0]]]])
    diagonal, rows, columns = torch.nn.functional.conv2d(grey, kernels).square().mean((0, 2, 3)).tolist()
    assert diagonal < 0.2 * (rows + columns)  # [0.04 to 0.05]
