"""Conversion between Pillow's pictures and tensors (C, H, W) in [0, 1], like torchvision.transforms for 8-bit RGB."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Compose:
    """One transform after another."""

    transforms: Sequence[Callable[[Any], Any]]

    def __call__(self, value: Any) -> Any:
        """Return `value` after all of them."""
        for transform in self.transforms:
            value = transform(value)
        return value


@dataclass(frozen=True)
class Lambda:
    """Any function."""

    function: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        """Return the function of `value`."""
        return self.function(value)


@dataclass(frozen=True)
class Resize:
    """Bilinear resizing to (height, width); Pillow low-passes when it shrinks."""

    size: tuple[int, int]

    def __call__(self, picture: Image.Image) -> Image.Image:
        """Return the picture at that size."""
        height, width = self.size
        return picture.resize((width, height), Image.Resampling.BILINEAR)


class ToTensor:
    """8-bit RGB to float32 in [0, 1]."""

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return (3, H, W)."""
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float() / 255


@dataclass(frozen=True)
class Normalize:
    """Per channel, minus the mean and divided by the standard deviation."""

    mean: Sequence[float]
    std: Sequence[float]

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return a new tensor."""
        mean, std = (torch.tensor(values, dtype=tensor.dtype).view(-1, 1, 1) for values in (self.mean, self.std))
        return (tensor - mean) / std


class ToPILImage:
    """Float in [0, 1] to 8-bit RGB."""

    def __call__(self, tensor: Tensor) -> Image.Image:
        """Return the picture."""
        # Truncated and not rounded, as in torchvision's to_pil_image, so that a peer saves what it always saves.
        return Image.fromarray((tensor * 255).byte().permute(1, 2, 0).contiguous().numpy())
