"""Steps of an image towards lower loss, never leaving [0, 1].

The constraint is part of the method: an unconstrained optimiser reports a loss that the saved, clipped picture does not
have (up to 3.5 times lower, measured).
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from impasto import recipe
from impasto.resample import interpolate
from impasto.types import Image


class Optimizer(ABC):
    """Makes the next image of an image and its gradient, and remembers what it learnt on the way."""

    @abstractmethod
    def step(self, image: Image, gradient: Image) -> Image:
        """Return the next image, in [0, 1]."""

    @abstractmethod
    def result(self, image: Image) -> Image:
        """Return what to show for the run so far, `image` being the last."""

    @abstractmethod
    def restart(self, height: int, width: int) -> None:
        """Carry over to images of another size what still holds there, and forget the rest."""

    @abstractmethod
    def slow_down(self) -> None:
        """Take smaller steps from now on, and forget the ones that led astray."""


class ProjectedLBFGS(Optimizer):
    """See `impasto.recipe.LBFGS`.

    A pixel at a bound whose gradient points outwards is held there: it takes no part in the step.
    """

    def __init__(self, settings: recipe.LBFGS) -> None:
        self._settings = settings
        self._damping = 1.0
        self._forget()

    def _forget(self) -> None:
        self._steps: list[Tensor] = []  # s_k, of unit curvature: s_k . y_k = 1
        self._changes: list[Tensor] = []  # y_k, likewise
        self._last: tuple[Tensor, Tensor] | None = None

    def step(self, image: Image, gradient: Image) -> Image:
        """Return the image after a bounded quasi-Newton step, projected."""
        flat, slope = image.flatten(), gradient.flatten()
        self._learn(flat, slope)
        held = ((flat <= 0) & (slope > 0)) | ((flat >= 1) & (slope < 0))
        direction = -self._inverse_hessian(slope.masked_fill(held, 0)).masked_fill_(held, 0)
        size = _root_mean_square(direction)
        if self._steps:
            factor = (self._settings.max_step / size).clamp(max=1)
        else:
            # The gradient alone knows the direction but not the distance.
            factor = self._settings.first_step / size.clamp(min=torch.finfo(size.dtype).tiny)
        return (flat + direction * (factor * self._damping)).clamp_(0, 1).view_as(image)

    def _learn(self, flat: Tensor, slope: Tensor) -> None:
        if self._last is not None:
            step, change = flat - self._last[0], slope - self._last[1]
            curvature = step @ change
            # Negative or vanishing curvature would turn the next step uphill: Nocedal and Wright 2006, section 7.2.
            if curvature > _MIN_CURVATURE * step.norm() * change.norm():
                unit = curvature.rsqrt()
                self._steps.append(step * unit)
                self._changes.append(change * unit)
                del self._steps[: -self._settings.history], self._changes[: -self._settings.history]
        self._last = flat, slope

    def _inverse_hessian(self, slope: Tensor) -> Tensor:
        # Nocedal and Wright 2006, algorithm 7.4, with rho = 1 because the pairs are of unit curvature.
        result = slope.clone()
        weights = []
        for step, change in zip(reversed(self._steps), reversed(self._changes), strict=True):
            weight = step @ result
            result -= weight * change
            weights.append(weight)
        if self._changes:
            result /= self._changes[-1] @ self._changes[-1]
        for step, change, weight in zip(self._steps, self._changes, reversed(weights), strict=True):
            result += (weight - change @ result) * step
        return result

    def result(self, image: Image) -> Image:
        """Return the last image: averaging adds nothing to this method (measured)."""
        return image

    def restart(self, height: int, width: int) -> None:
        """Forget everything: the curvature of one scale says little about the next (measured)."""
        del height, width
        self._forget()

    def slow_down(self) -> None:
        """Take steps of half the size, without memory."""
        self._damping /= 2
        self._forget()


def _root_mean_square(values: Tensor) -> Tensor:
    # Squares of gradients of 1e-20, which some recipes have, would vanish in float32.
    peak = values.abs().max().clamp(min=torch.finfo(values.dtype).tiny)
    return (values / peak).square().mean().sqrt() * peak


# Ours: pairs of less curvature carry more rounding than knowledge.
_MIN_CURVATURE = 1e-6


class ProjectedAdam(Optimizer):
    """See `impasto.recipe.Adam`."""

    def __init__(self, settings: recipe.Adam) -> None:
        self._settings = settings
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

    def step(self, image: Image, gradient: Image) -> Image:
        """Return the image after a step of Adam, clamped."""
        beta1, beta2 = self._settings.beta1, self._settings.beta2
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(image), torch.zeros_like(image)
        self._count += 1
        self._mean.lerp_(gradient, 1 - beta1)
        self._square.lerp_(gradient.square(), 1 - beta2)
        mean = self._mean / (1 - beta1**self._count)
        # Kingma and Ba's epsilon is 1e-8; gradients of relative losses are as small themselves, hence smaller here.
        scale = (self._square / (1 - beta2**self._count)).sqrt().add_(1e-12)
        image = (image - self._damping * self._settings.learning_rate * mean / scale).clamp_(0, 1)
        if self._average is None:
            self._average = torch.zeros_like(image)
        self._averaged += 1
        self._average.lerp_(image, 1 - self._settings.average)
        return image

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


def build(settings: recipe.LBFGS | recipe.Adam) -> Optimizer:
    """Return the optimiser that `settings` describe."""
    return ProjectedLBFGS(settings) if isinstance(settings, recipe.LBFGS) else ProjectedAdam(settings)
