"""What the image starts as. Random numbers are drawn on the CPU, so that a seed means the same on every device."""

import torch

from impasto.moments import moments
from impasto.types import Image


def noise(height: int, width: int, seed: int) -> Image:
    """Return white noise, uniform in [0, 1)."""
    return torch.rand(1, 3, height, width, generator=_generator(seed))


def style_noise(style: Image, height: int, width: int, seed: int) -> Image:
    """Return white noise with the mean and covariance of the style's colours, clamped to [0, 1]."""
    statistics = moments(style.cpu().double())
    # A ridge far below 8 bits' resolution lets a style of one colour have a root, too.
    covariance = statistics.covariance[0] + 1e-8 * torch.eye(3, dtype=torch.float64)
    root = torch.linalg.cholesky(covariance).float()
    draws = torch.randn(3, height * width, generator=_generator(seed))
    pixels = root @ draws + statistics.mean[0].float()[:, None]
    return pixels.view(1, 3, height, width).clamp(0, 1)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
