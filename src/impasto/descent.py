"""Going down at one scale: evaluate, step, remember the best; on CUDA as one captured graph."""

from collections.abc import Iterator

import torch

from impasto import backends
from impasto.objective import Evaluation, Objective
from impasto.optimizers import Optimizer
from impasto.types import Image


class Descent:
    """The image on its way down, what it is worth, and the best one so far.

    A step does not wait for the device: its numbers go to a log, which is read when somebody wants them. On CUDA the
    steps after the second are one graph, captured once, in place of hundreds of launches; where that cannot be done,
    steps are taken as everywhere else.

    Args:
        objective: to go down.
        optimizer: that goes.
        image: (1, 3, H, W) to start from.
        steps: how many images are evaluated, the first among them.

    Attributes:
        image: that was evaluated last.
        best: of those evaluated, the one of the lowest loss.

    """

    def __init__(self, objective: Objective, optimizer: Optimizer, image: Image, steps: int) -> None:
        self.image = self.best = image
        self._objective = objective
        self._optimizer = optimizer
        self._steps = steps
        # In a graph, everything is found again where it was.
        self._fixed = backends.captures(image.device) and optimizer.capturable and objective.capturable
        found = objective.evaluate(image)
        self._labels, self._numbers, self._gradient = found.labels, found.numbers, found.gradient
        if self._fixed:
            self.image, self.best = image.clone(), image.clone()
        self._lowest = torch.full_like(self._numbers, float("inf"))
        self._log = self._numbers.new_zeros(steps, len(self._numbers) + 1)  # the numbers, and whether all was finite
        self._row = torch.zeros((), dtype=torch.long, device=image.device)
        self._note()

    def go(self, burst: int) -> Iterator[Evaluation | None]:
        """Take all steps; yield what was said of each image, without its gradient, or None where that was not finite.

        Args:
            burst: how many steps are taken before the device is waited for. `image` is the last one of the burst.

        """
        move = self._move
        taken = 1
        for first in range(0, self._steps, burst):
            last = min(first + burst, self._steps)
            while taken < last:
                move()
                taken += 1
                if self._fixed and move == self._move and taken > _SET_UP:
                    move = backends.captured(self._move)
            for row in self._log[first:last].cpu():
                yield Evaluation(self._labels, row[:-1], None) if row[-1] else None

    def _move(self) -> None:
        image, known = self._step()
        if known is None:
            if not self._fixed:
                self._gradient = None  # as large as an image, and of no more use
            known = self._objective.evaluate(image)
        if self._fixed:
            assert self._gradient is not None
            self.image.copy_(image)
            self._numbers.copy_(known.numbers)
            self._gradient.copy_(known.slope)
        else:
            self.image, self._numbers, self._gradient = image, known.numbers, known.slope
        self._note()

    def _step(self) -> tuple[Image, Evaluation | None]:
        evaluation = Evaluation(self._labels, self._numbers, self._gradient)
        return self._optimizer.step(self.image, evaluation, self._objective.evaluate)

    def _note(self) -> None:
        assert self._gradient is not None
        finite = self._numbers.isfinite().all() & self._gradient.isfinite().all()
        row = torch.cat([self._numbers, finite.to(self._numbers)[None]])
        self._log.index_copy_(0, self._row[None], row[None])
        self._row += 1
        better = finite & (self._numbers[0] < self._lowest[0])
        self._lowest.copy_(torch.where(better, self._numbers, self._lowest))
        if self._fixed:
            self.best.copy_(torch.where(better, self.image, self.best))
        elif better:
            self.best = self.image

    @property
    def lowest(self) -> Evaluation:
        """What the objective said of the best image."""
        return Evaluation(self._labels, self._lowest, None)

    def after(self) -> tuple[Image, Evaluation | None]:
        """Return what to show after one more step, and what the objective says of it if that is known."""
        image, known = self._step()
        shown = self._optimizer.result(image)
        return shown, known if shown is image else None


# The first step sets an optimiser up; after the second, every step is the same operations on the same tensors.
_SET_UP = 2
