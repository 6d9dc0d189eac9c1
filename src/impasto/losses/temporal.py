"""What a frame of a film differs by from the frames before it. Ruder, Dosovitskiy and Brox 2016."""

import torch

from impasto.losses.base import PhotoLoss
from impasto.ops.shapes import Image, Mask, Scalar


class Temporal(PhotoLoss[Image]):
    """The mean over pixels and channels of certain x (image - earlier)^2, sRGB in [0, 1].

    Several earlier frames are one image: in their long-term form, too, each pixel counts for one of them at most.

    Args:
        earlier: (1, 3, H, W) what was painted before, moved to where it is now.
        certain: (1, 1, H, W) in [0, 1], how far that can be believed; 0 where something has come into sight.

    """

    def __init__(self, earlier: Image, certain: Mask) -> None:
        self._earlier = earlier
        self._certain = certain

    def target(self, photo: Image) -> Image:
        """Return the earlier image: the target is what was painted, and not the photo."""
        return self._earlier.to(photo)

    def value(self, image: Image, target: Image) -> Scalar:
        """Return the distance of `image` from what was painted before."""
        return torch.mean(self._certain * (image - target).square())
