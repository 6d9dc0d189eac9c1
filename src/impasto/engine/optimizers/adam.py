"""Adam. Kingma and Ba 2015."""

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.engine.objective import Evaluation, gradient_of
from impasto.engine.optimizers.base import Optimizer, State
from impasto.ops.numerics import has_float64
from impasto.ops.resample import interpolate
from impasto.ops.shapes import Image
from impasto.recipe import recipe


class Adam(Optimizer):
    """See `impasto.recipe.Adam`. Projected, the image is clamped to [0, 1] after each step."""

    def __init__(self, settings: recipe.Adam, *, projected: bool = True) -> None:
        self.settings: recipe.Adam = settings
        self._projected = projected
        self._damping = 1.0
        self._state: State = {}

    def step(self, image: Image, evaluation: Evaluation) -> Image:
        """Return the image after a step."""
        gradient, settings, state = gradient_of(evaluation), self.settings, self._state
        if "count" not in state:
            # Powers of the count are taken, hence float64 where the device has it.
            wide = torch.float64 if has_float64(image.device) else torch.float32
            state |= {"count": image.new_zeros((), dtype=wide)}
            state |= {"mean": torch.zeros_like(image), "square": torch.zeros_like(image)}
        if "average" not in state:
            state |= {"averaged": torch.zeros_like(state["count"]), "average": torch.zeros_like(image)}
        count = state["count"]
        # Keras' ExponentialDecay: the first step has the full rate.
        rate = self._damping * settings.learning_rate * settings.decay ** (count / settings.decay_steps)
        count += 1
        state["mean"].lerp_(gradient, 1 - settings.beta1)
        state["square"].lerp_(gradient.square(), 1 - settings.beta2)
        mean = state["mean"] * (rate / (1 - settings.beta1**count)).to(image.dtype)
        # Kingma and Ba's epsilon is 1e-8; gradients of relative losses are as small themselves, hence smaller here.
        scale = (state["square"] / (1 - settings.beta2**count).to(image.dtype)).sqrt_().add_(1e-12)
        image = image - mean / scale
        if self._projected:
            image = image.clamp_(0, 1)
        state["averaged"] += 1
        state["average"].lerp_(image, 1 - settings.average)
        return image

    def result(self, image: Image) -> Image:
        """Return the running mean of this scale's images, corrected for its start at 0 as Adam's own means are."""
        if "average" not in self._state:
            return image
        bias = 1 - self.settings.average ** self._state["averaged"]
        return self._state["average"] / bias.to(image.dtype)

    def restart(self, height: int, width: int) -> None:
        """Resize the running means of the gradient (crowsonkb's style-transfer-pytorch); restart the images' mean."""
        state = self._state
        if "count" not in state:
            return
        self._state = {
            "count": state["count"],
            "mean": interpolate(state["mean"], height, width, "bilinear"),
            "square": interpolate(state["square"], height, width, "bilinear").clamp_(min=0),
        }

    def slow_down(self) -> None:
        """Halve the size of the steps and forget the running means."""
        self._damping /= 2
        self._state = {}

    def state(self) -> State:
        """Return the running means and the counts."""
        damping = torch.tensor(self._damping, dtype=torch.float64)
        return {"damping": damping} | self._state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        self._damping = state["damping"].item()
        self._state = {name: value.clone() for name, value in state.items() if name != "damping"}
