"""What the image starts as. Random numbers are drawn on the CPU, so that a seed means the same on every device."""

import torch

from impasto import color
from impasto.moments import Moments
from impasto.types import Image


def noise(height: int, width: int, seed: int) -> Image:
    """Return white noise, uniform in [0, 1)."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def style_noise(colors: Moments, height: int, width: int, seed: int) -> Image:
    """Return noise whose colours have the mean and covariance of `colors`, clamped to [0, 1]."""
    return color.match(noise(height, width, seed), colors)
