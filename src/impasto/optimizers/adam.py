"""Adam. Kingma and Ba 2015."""

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto import recipe
from impasto.objective import Evaluation
from impasto.optimizers.base import Evaluate, Optimizer, State
from impasto.resample import interpolate
from impasto.types import Image


class Adam(Optimizer):
    """See `impasto.recipe.Adam`. Projected, the image is clamped to [0, 1] after each step."""

    def __init__(self, settings: recipe.Adam, *, projected: bool = True) -> None:
        self._settings = settings
        self._projected = projected
        self._damping = 1.0
        self._forget()

    def _forget(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None
        self._forget_average()

    def _forget_average(self) -> None:
        self._averaged = 0
        self._average: Tensor | None = None

    def step(self, image: Image, evaluation: Evaluation, evaluate: Evaluate) -> tuple[Image, Evaluation | None]:
        """Return the image after a step."""
        del evaluate
        gradient = evaluation.slope
        beta1, beta2 = self._settings.beta1, self._settings.beta2
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(image), torch.zeros_like(image)
        # Keras' ExponentialDecay: the first step has the full rate.
        decay = self._settings.decay ** (self._count / self._settings.decay_steps)
        self._count += 1
        self._mean.lerp_(gradient, 1 - beta1)
        self._square.lerp_(gradient.square(), 1 - beta2)
        mean = self._mean / (1 - beta1**self._count)
        # Kingma and Ba's epsilon is 1e-8; gradients of relative losses are as small themselves, hence smaller here.
        scale = (self._square / (1 - beta2**self._count)).sqrt().add_(1e-12)
        image = image - self._damping * self._settings.learning_rate * decay * mean / scale
        if self._projected:
            image = image.clamp_(0, 1)
        if self._average is None:
            self._average = torch.zeros_like(image)
        self._averaged += 1
        self._average.lerp_(image, 1 - self._settings.average)
        return image, None

    def result(self, image: Image) -> Image:
        """Return the running mean of this scale's images, its start's bias removed."""
        if self._average is None:
            return image
        return self._average / (1 - self._settings.average**self._averaged)

    def restart(self, height: int, width: int) -> None:
        """Carry the running means of the gradient over (crowsonkb); begin the average of the images anew."""
        if self._mean is not None and self._square is not None:
            self._mean = interpolate(self._mean, height, width, "bilinear")
            self._square = interpolate(self._square, height, width, "bilinear").clamp_(min=0)
        self._forget_average()

    def slow_down(self) -> None:
        """Take steps of half the size, without memory."""
        self._damping /= 2
        self._forget()

    def state(self) -> State:
        """Return the running means and the counts."""
        counts = torch.tensor([self._damping, self._count, self._averaged], dtype=torch.float64)
        tensors = {"mean": self._mean, "square": self._square, "average": self._average}
        return {"counts": counts} | {name: value.clone() for name, value in tensors.items() if value is not None}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self._damping, count, averaged = state["counts"].tolist()
        self._count, self._averaged = int(count), int(averaged)
        copies = {name: value.clone() for name, value in state.items()}
        self._mean, self._square = copies.get("mean"), copies.get("square")
        self._average = copies.get("average")
