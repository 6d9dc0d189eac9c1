"""L-BFGS, free or projected onto [0, 1], with a bounded step or a line search."""

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.engine import devices
from impasto.engine.objective import Evaluation, gradient_of
from impasto.engine.optimizers.base import Evaluate, Optimizer, State
from impasto.engine.optimizers.history import CurvaturePairs
from impasto.engine.optimizers.line_search import Trial, strong_wolfe
from impasto.ops.shapes import Image
from impasto.recipe import recipe


class LBFGS(Optimizer):
    """See `impasto.recipe.LBFGS`.

    Projected, a pixel at a bound whose gradient points outwards is held there and takes no part in the step
    (Bertsekas 1982); a line search goes along the straight line to the projected point, as in L-BFGS-B (Byrd et al.
    1995). A loss above that of the scale's first image leads back to the best one, with what was learnt on the way.
    """

    def __init__(self, settings: recipe.LBFGS, *, projected: bool = True) -> None:
        self.settings: recipe.LBFGS = settings
        self._projected = projected
        self._damping = 1.0
        self._known: _State | None = None

    @property
    def capturable(self) -> bool:
        """A line search looks at numbers before it goes on."""
        return self.settings.line_search == "none"

    def step(self, image: Image, evaluation: Evaluation, evaluate: Evaluate) -> tuple[Image, Evaluation | None]:
        """Return the image after a quasi-Newton step, or the best one so far where the last step led above the start.

        The first step goes along the gradient, as far as `first_step` says, whatever the unit of the loss.
        """
        flat, gradient, loss = image.flatten(), gradient_of(evaluation).flatten(), evaluation.numbers[0]
        if self._known is None:
            self._known = _State(flat, gradient, loss, self.settings.history)
        state = self._known
        # In a graph everything stays in its place; elsewhere images, which nobody writes to, are kept and not copied.
        fixed = self.capturable and devices.uses_graphs(image.device)
        # In place, here and below: at print sizes every image counts.
        moved = state.last_image.neg_().add_(flat) if fixed else flat - state.last_image
        changed = state.last_slope.neg_().addcmul_(gradient, state.unit)
        learnt = state.memory.add(moved, changed, state.followed)
        del moved
        state.last_image = state.last_image.copy_(flat) if fixed else flat
        slope = torch.mul(gradient, state.unit, out=state.last_slope)
        # What was learnt shortens the next step; where it did not, or nothing was learnt, we do.
        risen = loss > state.ceiling
        again = risen & ((state.rises > 0) | ~learnt)
        improved = loss < state.lowest
        if fixed:
            torch.where(improved, flat, state.best, out=state.best)
        elif improved:
            state.best = flat
        state.lowest.copy_(torch.minimum(loss, state.lowest))
        state.rises.copy_(torch.where(improved, 0, state.rises + risen.to(state.rises)))
        bolder = torch.where(improved, (2 * state.caution).clamp(max=1), state.caution)
        state.caution.copy_(torch.where(again, state.caution / 2, bolder))
        # The way back has nothing to teach: it was learnt on the way here.
        state.followed.copy_(~risen)
        if fixed:
            moved = self._take_step(image, self._direction(state, flat, slope))
            return torch.where(risen, state.best.view_as(image), moved), None
        if risen:
            return state.best.view_as(image).clone(), None
        if self.capturable:
            return self._take_step(image, self._direction(state, flat, slope)), None
        return self._search(state, image, evaluation, slope, evaluate)

    def _direction(self, state: "_State", flat: Tensor, slope: Tensor) -> Tensor:
        """Return the quasi-Newton step, bounded."""
        at_bounds = torch.zeros_like(slope, dtype=torch.bool)
        if self._projected:
            at_bounds = ((flat <= 0) & (slope > 0)) | ((flat >= 1) & (slope < 0))
        direction = state.memory.inverse_hessian(slope.masked_fill(at_bounds, 0)).neg_().masked_fill_(at_bounds, 0)
        size = direction.square().mean().sqrt()
        # The gradient alone knows the direction but not the distance.
        first = self.settings.first_step / size.clamp(min=torch.finfo(size.dtype).tiny)
        factor = torch.where(state.memory.empty, first, (self.settings.max_step / size).clamp(max=1))
        return direction.mul_((factor * self._damping * state.caution).to(direction.dtype))

    def _take_step(self, image: Image, direction: Tensor) -> Image:
        """Return where a step leads; `direction` is overwritten."""
        moved = direction.view_as(image).add_(image)
        return moved.clamp_(0, 1) if self._projected else moved

    def _search(
        self,
        state: "_State",
        image: Image,
        evaluation: Evaluation,
        slope: Tensor,
        evaluate: Evaluate,
    ) -> tuple[Image, Evaluation | None]:
        flat = image.flatten()
        direction = self._take_step(image, self._direction(state, flat, slope)).flatten() - flat
        if not direction @ slope < 0:
            # The projection can turn a quasi-Newton step uphill, but never one along the gradient.
            state.memory.clear()
            direction = self._take_step(image, self._direction(state, flat, slope)).flatten() - flat

        def at(distance: float) -> Trial[tuple[Image, Evaluation]]:
            point = self._take_step(image, distance * direction)
            evaluation = evaluate(point)
            if not evaluation.is_finite:
                return Trial(distance, float("inf"), float("inf"), (point, evaluation))
            return Trial(
                distance, evaluation.loss, float(direction @ gradient_of(evaluation).flatten()), (point, evaluation)
            )

        rate = float(direction @ gradient_of(evaluation).flatten())
        start = Trial(0.0, evaluation.loss, rate, (image, evaluation))
        if not rate < 0:
            return image, evaluation
        trial = strong_wolfe(at, start, 1.0, 1.0 if self._projected else float("inf"))
        if trial is start:
            state.memory.clear()
            state.caution /= 2
        return trial.payload

    def result(self, image: Image) -> Image:
        """Return the last image: averaging adds nothing to this method (measured)."""
        return image

    def restart(self, height: int, width: int) -> None:
        """Forget everything: the curvature of one scale says little about the next (measured)."""
        del height, width
        self._known = None

    def slow_down(self) -> None:
        """Take steps of half the size, without memory."""
        self._damping /= 2
        self._known = None

    def state(self) -> State:
        """Return the pairs, the best and the last image, and the numbers that the next step needs."""
        state = {"damping": torch.tensor(self._damping, dtype=torch.float64)}
        return state if self._known is None else state | self._known.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self._damping = state["damping"].item()
        self._known = _State.of(state) if "best" in state else None


class _State:
    """All that L-BFGS knows at a scale, in tensors that stay where they are.

    Attributes:
        unit: the gradient is multiplied by it, so that no recipe's is too large or too small for float32.
        ceiling: the loss of the first image.
        lowest: the lowest loss so far, of `best`.
        rises: steps above the first loss since the last new best image.
        caution: part of a step that is taken.
        followed: whether the present image came from the last one by a step.

    """

    def __init__(self, flat: Tensor, gradient: Tensor, loss: Tensor, history: int) -> None:
        peak = gradient.abs().max()
        self.unit = torch.where(peak > 0, peak, 1).reciprocal()
        self.ceiling = loss.clone()
        self.lowest = torch.full_like(self.ceiling, float("inf"))
        self.rises = torch.zeros_like(self.ceiling, dtype=torch.long)
        self.caution = torch.ones_like(self.ceiling)
        self.followed = torch.zeros_like(self.ceiling, dtype=torch.bool)
        self.best, self.last_image, self.last_slope = flat.clone(), flat.clone(), torch.zeros_like(flat)
        self.memory = CurvaturePairs(history, flat)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "_State":
        """Make one of what `state` returned."""
        known = cls(state["best"], state["last_slope"], state["ceiling"], len(state["steps"]))
        for name, tensor in known._own().items():
            tensor.copy_(state[name])
        known.memory.load(state)
        return known

    def _own(self) -> State:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def state(self) -> State:
        """Return everything by name."""
        return self._own() | self.memory.state()
