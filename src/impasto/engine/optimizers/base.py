"""What every optimiser does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from torch import Tensor

from impasto.engine.objective import Evaluation
from impasto.ops.shapes import Image
from impasto.recipe import recipe

Evaluate = Callable[[Image], Evaluation]
State = dict[str, Tensor]


class Optimizer(ABC):
    """Makes the next image of an image and what the objective says of it, and remembers what it learnt on the way.

    Attributes:
        settings: what it was made of.

    """

    settings: recipe.LBFGS | recipe.Adam

    @property
    @abstractmethod
    def capturable(self) -> bool:
        """Whether a step, after the first, is the same operations on the same tensors: fit for a CUDA graph."""

    @abstractmethod
    def step(self, image: Image, evaluation: Evaluation, evaluate: Evaluate) -> tuple[Image, Evaluation | None]:
        """Return the next image.

        Args:
            image: (1, 3, H, W) sRGB; in [0, 1] unless the bounds are free.
            evaluation: what the objective says of it, finite and with its gradient.
            evaluate: the objective, for optimisers that look before they step.

        Returns:
            The next image, and what the objective says of it where that is known already.

        """

    @abstractmethod
    def result(self, image: Image) -> Image:
        """Return what to show for the run so far, `image` being the last."""

    @abstractmethod
    def restart(self, height: int, width: int) -> None:
        """Carry over to images of another size what still holds there, and forget the rest."""

    @abstractmethod
    def slow_down(self) -> None:
        """Take smaller steps from now on, and forget the ones that led astray."""

    @abstractmethod
    def state(self) -> State:
        """Return all that has been learnt, as named tensors; `load` continues from there, step for step the same.

        They are not copies: the next step changes them.
        """

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned of an optimiser with the same settings."""
