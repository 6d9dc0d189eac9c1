"""L-BFGS, free or projected onto [0, 1], with a bounded step and no line search."""

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.engine import devices
from impasto.engine.objective import Evaluation, gradient_of
from impasto.engine.optimizers.base import Optimizer, State
from impasto.engine.optimizers.history import CurvaturePairs
from impasto.ops.shapes import Image
from impasto.recipe import recipe


class LBFGS(Optimizer):
    """See `impasto.recipe.LBFGS`.

    Projected, a pixel at a bound whose gradient points outwards stays there and takes no part in the step (Bertsekas
    1982). After a loss above that of the scale's first image, the next image is the best one so far; the curvature
    pairs learnt on the way are kept.
    """

    def __init__(self, settings: recipe.LBFGS, *, projected: bool = True) -> None:
        self.settings: recipe.LBFGS = settings
        self._projected = projected
        self._damping = 1.0
        self._state: _State | None = None

    def step(self, image: Image, evaluation: Evaluation) -> Image:
        """Return the image after a quasi-Newton step, or the best one so far where the last step led above the start.

        The first step goes along the gradient; `first_step` is its length, whatever the unit of the loss.
        """
        flat, gradient, loss = image.flatten(), gradient_of(evaluation).flatten(), evaluation.numbers[0]
        if self._state is None:
            self._state = _State(flat, gradient, loss, self.settings.history)
        state = self._state
        # A captured graph needs every tensor in its place; elsewhere the images, which nothing overwrites, are referred
        # to instead of copied.
        in_place = devices.uses_graphs(image.device)
        # The arithmetic on whole images is in place: at print sizes one image more is hundreds of megabytes.
        step = state.last_image.neg_().add_(flat) if in_place else flat - state.last_image
        gradient_change = state.last_slope.neg_().addcmul_(gradient, state.unit)
        is_learnt = state.memory.add(step, gradient_change, state.followed)
        del step
        state.last_image = state.last_image.copy_(flat) if in_place else flat
        slope = torch.mul(gradient, state.unit, out=state.last_slope)
        # A new curvature pair makes the next step shorter. Where there was none, or it did not help, shorten it here.
        is_above_start = loss > state.ceiling
        is_too_long = is_above_start & ((state.rises > 0) | ~is_learnt)
        is_best = loss < state.lowest
        if in_place:
            torch.where(is_best, flat, state.best, out=state.best)
        elif is_best:
            state.best = flat
        state.lowest.copy_(torch.minimum(loss, state.lowest))
        state.rises.copy_(torch.where(is_best, 0, state.rises + is_above_start.to(state.rises)))
        longer = torch.where(is_best, (2 * state.caution).clamp(max=1), state.caution)
        state.caution.copy_(torch.where(is_too_long, state.caution / 2, longer))
        # Do not learn a pair from a step back to the best image: it was learnt going forward.
        state.followed.copy_(~is_above_start)
        if in_place:
            next_image = self._take_step(image, self._direction(state, flat, slope))
            return torch.where(is_above_start, state.best.view_as(image), next_image)
        if is_above_start:
            return state.best.view_as(image).clone()
        return self._take_step(image, self._direction(state, flat, slope))

    def _direction(self, state: "_State", flat: Tensor, slope: Tensor) -> Tensor:
        """Return the quasi-Newton step, (n,), no longer than `max_step`; of length `first_step` without any pairs."""
        at_bounds = torch.zeros_like(slope, dtype=torch.bool)
        if self._projected:
            at_bounds = ((flat <= 0) & (slope > 0)) | ((flat >= 1) & (slope < 0))
        direction = state.memory.inverse_hessian(slope.masked_fill(at_bounds, 0)).neg_().masked_fill_(at_bounds, 0)
        size = direction.square().mean().sqrt()
        # Without curvature pairs the gradient gives the direction of the step, but not its length.
        first = self.settings.first_step / size.clamp(min=torch.finfo(size.dtype).tiny)
        factor = torch.where(state.memory.empty, first, (self.settings.max_step / size).clamp(max=1))
        return direction.mul_((factor * self._damping * state.caution).to(direction.dtype))

    def _take_step(self, image: Image, direction: Tensor) -> Image:
        """Return the image after a step along `direction`, which is overwritten."""
        result = direction.view_as(image).add_(image)
        return result.clamp_(0, 1) if self._projected else result

    def result(self, image: Image) -> Image:
        """Return the last image: averaging gains nothing with this method (measured)."""
        return image

    def restart(self, height: int, width: int) -> None:
        """Discard the whole state: the curvature at one scale says little about the next (measured)."""
        del height, width
        self._state = None

    def slow_down(self) -> None:
        """Halve the length of the steps and forget the curvature pairs."""
        self._damping /= 2
        self._state = None

    def state(self) -> State:
        """Return the curvature pairs, the best and the last image, and the scalars that the next step needs."""
        state = {"damping": torch.tensor(self._damping, dtype=torch.float64)}
        return state if self._state is None else state | self._state.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        self._damping = state["damping"].item()
        self._state = _State.of(state) if "best" in state else None


class _State:
    """The state of L-BFGS at one scale, in tensors that a captured graph can update in place.

    The names are those of the tensors in a checkpoint.

    Attributes:
        unit: factor that brings the first gradient's largest entry to 1, so that float32 is enough for every recipe.
        ceiling: the loss of the first image.
        lowest: the lowest loss so far, that of `best`.
        rises: number of losses above `ceiling` since the last new best image.
        caution: factor on the length of the next step, at most 1.
        followed: whether the present image came from the last one by a quasi-Newton step.

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
        """Return the state whose tensors `state` returned."""
        result = cls(state["best"], state["last_slope"], state["ceiling"], len(state["steps"]))
        for name, tensor in result._tensors().items():
            tensor.copy_(state[name])
        result.memory.load(state)
        return result

    def _tensors(self) -> State:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def state(self) -> State:
        """Return all tensors by name."""
        return self._tensors() | self.memory.state()
