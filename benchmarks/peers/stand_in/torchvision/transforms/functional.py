"""The same as functions, and names that pystiche imports and does not call in the benchmark."""

import enum
from typing import Any, NoReturn

from PIL import Image
from torch import Tensor

from . import ToPILImage, ToTensor


class InterpolationMode(enum.Enum):
    """Ways to resample, by torchvision's names."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


def to_tensor(picture: Image.Image) -> Tensor:
    """Return (3, H, W) float32 in [0, 1] of 8-bit RGB."""
    return ToTensor()(picture)


def to_pil_image(tensor: Tensor, mode: str | None = None) -> Image.Image:
    """Return 8-bit RGB of float in [0, 1]; other modes are not implemented."""
    if mode not in (None, "RGB"):
        raise NotImplementedError(mode)
    return ToPILImage()(tensor)


def affine(*_: Any, **__: Any) -> NoReturn:
    """Refuse: only losses that are not measured rotate pictures."""
    raise NotImplementedError("affine")


def resize(*_: Any, **__: Any) -> NoReturn:
    """Refuse: only image pyramids, which are not measured, resize tensors."""
    raise NotImplementedError("resize")
