"""The value of an objective for one image."""

import functools
import math
from dataclasses import dataclass

from torch import Tensor

from impasto.ops.shapes import Image


@dataclass(frozen=True)
class Evaluation:
    """The loss of an image, what each term adds to it, and the gradient.

    Attributes:
        labels: the names of the terms.
        numbers: (1 + terms,) the loss and what each term adds to it, on the device; reading them as numbers waits for
            it.
        gradient: (1, 3, H, W) of the loss with respect to the image; None if it was not asked for.

    """

    labels: tuple[str, ...]
    numbers: Tensor
    gradient: Image | None

    @functools.cached_property
    def _numbers(self) -> list[float]:
        numbers: list[float] = self.numbers.tolist()
        return numbers

    @property
    def loss(self) -> float:
        """The weighted sum of the terms."""
        return self._numbers[0]

    @property
    def terms(self) -> dict[str, float]:
        """What each term adds to the loss."""
        return dict(zip(self.labels, self._numbers[1:], strict=True))

    def without_gradient(self) -> "Evaluation":
        """Return a copy without the gradient, which takes as much memory as the image."""
        return Evaluation(self.labels, self.numbers, None)

    @functools.cached_property
    def is_finite(self) -> bool:
        """Whether the loss and the gradient, if there is one, are finite numbers."""
        return math.isfinite(self.loss) and (self.gradient is None or bool(self.gradient.isfinite().all()))


def gradient_of(evaluation: Evaluation) -> Image:
    """Return the gradient of an evaluation that has one."""
    assert evaluation.gradient is not None
    return evaluation.gradient
