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
        """Return the mean difference along rows plus that along columns; 0 along a side of one pixel."""
        return self._mean(image.diff(dim=3)) + self._mean(image.diff(dim=2))

    def _mean(self, difference: Tensor) -> Scalar:
        if difference.numel() == 0:
            return difference.sum()
        return difference.square().mean() if self.form == "squared" else difference.abs().mean()
