"""What the image starts as. Random numbers are drawn on the CPU, so that a seed means the same on every device."""

import torch

from impasto.ops import color_transfer
from impasto.ops.color_transfer import Palette
from impasto.ops.shapes import Image
from impasto.recipe import ColorMatch


def noise(height: int, width: int, seed: int) -> Image:
    """Return white noise, uniform in [0, 1)."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def grey(height: int, width: int, seed: int) -> Image:
    """Return the mean grey of the networks' training pictures with noise of one level of 255, uniform.

    The start of Keras' example and, with still fainter noise, of Johnson's neural-style.
    """
    # The mean of the ImageNet training images, subtracted by the authors' Caffe models; RGB in 0..255.
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    return (mean + noise(height, width, seed)) / 255


def style_noise(colors: Palette, height: int, width: int, seed: int, method: ColorMatch) -> Image:
    """Return noise in the colours of a palette, clamped to [0, 1]."""
    return color_transfer.recolor(noise(height, width, seed), colors, method)
