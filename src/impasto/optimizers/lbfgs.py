"""L-BFGS, free or projected onto [0, 1], with a bounded step or a line search."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from impasto import recipe
from impasto.objective import Evaluation
from impasto.optimizers.base import Evaluate, Optimizer, State
from impasto.optimizers.line_search import Trial, strong_wolfe
from impasto.optimizers.memory import Memory
from impasto.types import Image


class LBFGS(Optimizer):
    """See `impasto.recipe.LBFGS`.

    Projected, a pixel at a bound whose gradient points outwards is held there and takes no part in the step
    (Bertsekas 1982); a line search goes along the straight line to the projected point, as in L-BFGS-B (Byrd et al.
    1995). A loss above that of the scale's first image leads back to the best one, with what was learnt on the way.
    """

    def __init__(self, settings: recipe.LBFGS, *, projected: bool = True) -> None:
        self._settings = settings
        self._projected = projected
        self._memory = Memory(settings.history)
        self._damping = 1.0
        self._forget()

    def _forget(self) -> None:
        self._memory.clear()
        self._caution = 1.0  # part of a step that is taken
        self._rises = 0  # steps above the start since the last new best image
        self._unit: float | None = None
        self._ceiling: float | None = None  # the loss of the first image
        self._lowest = float("inf")
        self._best: Tensor | None = None
        self._last: tuple[Tensor, Tensor] | None = None

    def step(self, image: Image, evaluation: Evaluation, evaluate: Evaluate) -> tuple[Image, Evaluation | None]:
        """Return the image after a quasi-Newton step, or the best one so far where the last step led above the start.

        The first step goes along the gradient, as far as `first_step` says, whatever the unit of the loss.
        """
        flat, slope = image.flatten(), self._scaled(evaluation)
        learnt = self._last is not None and self._memory.learn(flat - self._last[0], slope - self._last[1])
        self._last = flat, slope
        if self._ceiling is None:
            self._ceiling = evaluation.loss
        if evaluation.loss > self._ceiling and self._best is not None:
            # What was learnt shortens the next step; where it did not, or nothing was learnt, we do.
            if self._rises > 0 or not learnt:
                self._caution /= 2
            self._rises += 1
            # The way back has nothing to teach: it was learnt on the way here.
            self._last = None
            return self._best.view_as(image), None
        if evaluation.loss < self._lowest:
            self._lowest, self._best = evaluation.loss, flat
            self._rises, self._caution = 0, min(1.0, 2 * self._caution)
        direction = self._direction(flat, slope)
        if self._settings.line_search == "none":
            return self._moved(image, direction), None
        return self._search(image, evaluation, slope, direction, evaluate)

    def _scaled(self, evaluation: Evaluation) -> Tensor:
        """Return the gradient in a unit of its own, so that no recipe's is too large or too small for float32."""
        gradient = evaluation.slope.flatten()
        if self._unit is None:
            peak = gradient.abs().max().item()
            self._unit = 1 / peak if peak > 0 else 1.0
        return gradient * self._unit

    def _direction(self, flat: Tensor, slope: Tensor) -> Tensor:
        """Return the quasi-Newton step, bounded."""
        held = torch.zeros_like(slope, dtype=torch.bool)
        if self._projected:
            held = ((flat <= 0) & (slope > 0)) | ((flat >= 1) & (slope < 0))
        direction = -self._memory.inverse_hessian(slope.masked_fill(held, 0)).masked_fill_(held, 0)
        size = direction.square().mean().sqrt()
        if len(self._memory):
            factor = (self._settings.max_step / size).clamp(max=1)
        else:
            # The gradient alone knows the direction but not the distance.
            factor = self._settings.first_step / size.clamp(min=torch.finfo(size.dtype).tiny)
        return direction * (factor * self._damping * self._caution)

    def _moved(self, image: Image, direction: Tensor) -> Image:
        moved = image + direction.view_as(image)
        return moved.clamp_(0, 1) if self._projected else moved

    def _search(
        self, image: Image, evaluation: Evaluation, slope: Tensor, direction: Tensor, evaluate: Evaluate
    ) -> tuple[Image, Evaluation | None]:
        direction = (self._moved(image, direction) - image).flatten()
        if not direction @ slope < 0:
            # The projection can turn a quasi-Newton step uphill, but never one along the gradient.
            self._memory.clear()
            direction = (self._moved(image, self._direction(image.flatten(), slope)) - image).flatten()

        def at(distance: float) -> Trial[tuple[Image, Evaluation]]:
            point = self._moved(image, distance * direction)
            found = evaluate(point)
            if not found.finite:
                return Trial(distance, float("inf"), float("inf"), (point, found))
            return Trial(distance, found.loss, float(direction @ found.slope.flatten()), (point, found))

        rate = float(direction @ evaluation.slope.flatten())
        start = Trial(0.0, evaluation.loss, rate, (image, evaluation))
        if not rate < 0:
            return image, evaluation
        trial = strong_wolfe(at, start, 1.0, 1.0 if self._projected else float("inf"))
        if trial is start:
            self._memory.clear()
            self._caution /= 2
        return trial.payload

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

    def state(self) -> State:
        """Return the pairs, the best and the last image, and the numbers that the next step needs."""
        nan = float("nan")
        scale = [self._unit or nan, nan if self._ceiling is None else self._ceiling, self._lowest]
        numbers = torch.tensor([self._damping, self._caution, self._rises, *scale], dtype=torch.float64)
        state = self._memory.state() | {"numbers": numbers}
        if self._best is not None:
            state["best"] = self._best.clone()
        if self._last is not None:
            state["last"] = torch.stack(self._last)
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self._memory.load(state)
        self._damping, self._caution, rises, unit, ceiling, self._lowest = state["numbers"].tolist()
        self._rises = int(rises)
        self._unit = None if math.isnan(unit) else unit
        self._ceiling = None if math.isnan(ceiling) else ceiling
        self._best = state["best"].clone() if "best" in state else None
        last = state.get("last")
        self._last = None if last is None else (last[0].clone(), last[1].clone())
