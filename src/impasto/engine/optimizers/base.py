"""What every optimiser does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from impasto.engine.objective import Evaluation
from impasto.ops.shapes import Image
from impasto.recipe import recipe

State = dict[str, Tensor]


class Optimizer(ABC):
    """Computes the next image from the present one and its gradient, and keeps state from step to step.

    A step, after the first, is the same operations on the same tensors, so that CUDA can capture it as a graph.

    Attributes:
        settings: the optimizer's part of the recipe.

    """

    settings: recipe.LBFGS | recipe.Adam

    @abstractmethod
    def step(self, image: Image, evaluation: Evaluation) -> Image:
        """Return the next image.

        Args:
            image: (1, 3, H, W) sRGB; in [0, 1] unless the bounds are free.
            evaluation: the objective's evaluation of `image`, finite and with its gradient.

        """

    @abstractmethod
    def result(self, image: Image) -> Image:
        """Return the result of the steps so far, `image` being the last image: that image itself, or an average."""

    @abstractmethod
    def restart(self, height: int, width: int) -> None:
        """Prepare for images of another size in pixels: resize the state that stays valid, discard the rest."""

    @abstractmethod
    def slow_down(self) -> None:
        """Take smaller steps from now on, and discard the state that led to a loss that is not finite."""

    @abstractmethod
    def state(self) -> State:
        """Return the whole state as named tensors, from which `load` continues bit for bit.

        The tensors are not copies: the next step changes them.
        """

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned of an optimizer with the same settings."""
