"""Going down at one scale: evaluate, step, remember the best; on CUDA as one captured graph."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from impasto import backends
from impasto.checkpoints import Snapshot
from impasto.objective import Evaluation, Objective
from impasto.optimizers import Optimizer
from impasto.planning import Plan
from impasto.types import Image


class Record(NamedTuple):
    """The best image of a descent and what it is worth, as `Evaluation.numbers`."""

    best: Image
    lowest: Tensor


class Descent:
    """The image on its way down, what it is worth, and the best one so far.

    A step does not wait for the device: its numbers go to a log, which is read when somebody wants them. On CUDA the
    steps after the second are one graph, captured once, in place of hundreds of launches; where that cannot be done,
    steps are taken as everywhere else.

    Args:
        objective: to go down.
        optimizer: that goes.
        image: (1, 3, H, W) to start from.
        steps: how many images are evaluated, the first among them unless it is the last one of a descent before.
        record: of the descent before, if this one goes on with it. The image is evaluated again, which is no step.

    Attributes:
        image: that was evaluated last.
        best: of those evaluated, the one of the lowest loss.
        taken: how many steps of the descent have been taken.

    """

    def __init__(
        self, objective: Objective, optimizer: Optimizer, image: Image, steps: int, record: Record | None = None
    ) -> None:
        self.image = self.best = image
        self._objective = objective
        self._optimizer = optimizer
        # Of an image that counted before there is nothing new to say.
        self._before = 0 if record is None else 1
        self._rows = steps + self._before
        self.taken = 1 - self._before
        # In a graph, everything is found again where it was.
        self._fixed = backends.captures(image.device) and optimizer.capturable and objective.capturable
        found = objective.evaluate(image)
        self._labels, self._numbers, self._gradient = found.labels, found.numbers, found.gradient
        if self._fixed:
            self.image, self.best = image.clone(), image.clone()
        self._lowest = torch.full_like(self._numbers, float("inf"))
        if record is not None:
            self.best = record.best
            self._lowest.copy_(record.lowest)
        self._log = self._numbers.new_zeros(
            self._rows, len(self._numbers) + 1
        )  # the numbers, and whether all was finite
        self._row = torch.zeros((), dtype=torch.long, device=image.device)
        self._note()

    def go(self, burst: int) -> Iterator[Evaluation | None]:
        """Take all steps; yield what was said of each image, without its gradient, or None where that was not finite.

        Args:
            burst: how many steps are taken before the device is waited for. `image` is the last one of the burst.

        """
        move = self._move
        moved = 1
        for first in range(0, self._rows, burst):
            last = min(first + burst, self._rows)
            while moved < last:
                move()
                moved += 1
                self.taken += 1
                if self._fixed and move == self._move and moved > _SET_UP:
                    move = backends.captured(self._move)
            for index, row in enumerate(self._log[first:last].cpu(), first):
                if not row[-1]:
                    yield None
                elif index >= self._before:
                    yield Evaluation(self._labels, row[:-1], None)

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
    def record(self) -> Record:
        """The best image and what it is worth; not copied."""
        return Record(self.best, self._lowest)

    @property
    def lowest(self) -> Evaluation:
        """What the objective said of the best image."""
        return Evaluation(self._labels, self._lowest, None)

    def after(self) -> tuple[Image, Evaluation | None]:
        """Return what to show after one more step, and what the objective says of it if that is known."""
        image, known = self._step()
        shown = self._optimizer.result(image)
        return shown, known if shown is image else None


@dataclass
class Trail:
    """The way down one scale: one descent, or several where steps led astray.

    Attributes:
        start: the image it began with, if its end is to be compared with it.
        first: what the objective said of that, as `Evaluation.numbers`.
        failures: how often a step led to no finite loss.
        base: steps taken before the present descent.
        descent: the present one.

    """

    start: Image | None
    first: Tensor | None = None
    failures: int = 0
    base: int = 0
    descent: Descent | None = None

    def snapshot(self, scale: int, seconds: float, plans: tuple[Plan, ...], optimizer: Optimizer) -> Snapshot:
        """Return what is needed to go on from the image evaluated last; not copied, so good until the next step."""
        assert self.descent is not None
        best, lowest = self.descent.record
        return Snapshot(
            scale=scale,
            done=self.base + self.descent.taken,
            failures=self.failures,
            seconds=seconds,
            plans=plans,
            image=self.descent.image,
            best=best,
            lowest=lowest,
            start=self.start,
            first=self.first,
            optimizer=optimizer.state(),
        )


# The first step sets an optimiser up; after the second, every step is the same operations on the same tensors.
_SET_UP = 2
