"""The temporal loss of Ruder, Dosovitskiy and Brox 2016: distance of a frame from the warped frame before it."""

import torch

from impasto.losses.base import PhotoLoss
from impasto.ops.shapes import Image, Mask, Scalar


class Temporal(PhotoLoss[Image]):
    """The mean over pixels and channels of reliable x (image - warped)^2, sRGB in [0, 1].

    In Ruder et al.'s long-term form each pixel is compared with at most one of several earlier frames, so those are one
    image here.

    >>> loss = Temporal(torch.zeros(1, 3, 1, 2), torch.tensor([[[[1.0, 0.0]]]]))
    >>> image = torch.ones(1, 3, 1, 2)  # the second pixel has just come into sight
    >>> loss.value(image, loss.target(image)).item()
    0.5

    Args:
        earlier: (1, 3, H, W) what was painted before, warped to where it is now.
        reliable: (1, 1, H, W) in [0, 1], how far the warped pixel can be trusted; 0 where it was hidden before.

    """

    def __init__(self, earlier: Image, reliable: Mask) -> None:
        self._earlier = earlier
        self._reliable = reliable

    def target(self, photo: Image) -> Image:
        """Return the warped earlier image, of the dtype and device of `photo`."""
        return self._earlier.to(photo)

    def value(self, image: Image, target: Image) -> Scalar:
        """Return the distance of `image` from the warped earlier image, where that is reliable."""
        return torch.mean(self._reliable * (image - target).square())
