"""Total variation: what neighbouring pixels differ by. Rudin, Osher and Fatemi 1992, anisotropic."""

from torch import Tensor

from impasto import terms
from impasto.losses.base import ImageLoss
from impasto.types import Image, Scalar


class Smoothness(ImageLoss):
    """See `impasto.terms.Smoothness`."""

    def __init__(self, spec: terms.Smoothness) -> None:
        self.form = spec.form

    def value(self, image: Image) -> Scalar:
        """Return the difference along rows plus that along columns; 0 along a side of one pixel."""
        return self._size(image.diff(dim=3)) + self._size(image.diff(dim=2))

    def _size(self, difference: Tensor) -> Scalar:
        if difference.numel() == 0:
            return difference.sum()
        match self.form:
            case "squared":
                return difference.square().mean()
            case "absolute":
                return difference.abs().mean()
            case "sum":
                return 255 * difference.abs().sum()
