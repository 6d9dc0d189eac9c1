"""Going down at one scale: evaluate, step, remember the best; on CUDA as one captured graph."""

import atexit
import copy
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.engine import devices
from impasto.engine.checkpoints import Snapshot
from impasto.engine.objective import Evaluation, Objective, gradient_of
from impasto.engine.optimizers import Optimizer
from impasto.engine.planning import Plan
from impasto.ops.shapes import Image
from impasto.system.cache import Cache


class BestImage(NamedTuple):
    """The best image of a descent and what it is worth, as `Evaluation.numbers`."""

    best: Image
    lowest: Tensor


@dataclass(frozen=True)
class CapturedStep:
    """A step as one graph, and the tensors that it reads and writes.

    Attributes:
        replay: takes the step.
        state: what a step changes, as `Descent.tensors`.
        targets: what it compares with, as `Objective.graph_key_and_targets`.

    """

    replay: Callable[[], None]
    state: list[Tensor]
    targets: list[Tensor]


# The graphs of the last recipes and sizes, for the next picture of a process. One that is in use is not in here.
CAPTURED_STEPS: Cache[CapturedStep] = Cache(6)
# While the device is still there.
atexit.register(CAPTURED_STEPS.clear)


class Descent:
    """The image on its way down, what it is worth, and the best one so far.

    A step does not wait for the device: its numbers go to a log, which is read when somebody wants them. On CUDA the
    steps after the second are one graph in place of hundreds of launches, captured once for all pictures of that size
    and recipe that a process paints; where that cannot be done, steps are taken as everywhere else.

    Args:
        objective: to go down.
        optimizer: that goes.
        image: (1, 3, H, W) to start from.
        steps: how many images are evaluated, the first among them unless it is the last one of a descent before.
        record: of the descent before, if this one goes on with it. The image is evaluated again, which is no step.
        reuse: whether graphs may be kept for the next picture, and with them some memory.

    Attributes:
        image: that was evaluated last.
        best: of those evaluated, the one of the lowest loss.
        taken: how many steps of the descent have been taken.

    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        image: Image,
        steps: int,
        record: BestImage | None = None,
        *,
        reuse: bool = True,
    ) -> None:
        self._reuse = reuse and image.shape[2] * image.shape[3] <= _MOST_PIXELS
        self._captured: CapturedStep | None = None
        self.image = self.best = image
        self._objective = objective
        self._optimizer = optimizer
        # Of an image that counted before there is nothing new to say.
        self._before = 0 if record is None else 1
        self._rows = steps + self._before
        self.steps_done = 1 - self._before
        # In a graph, everything is found again where it was.
        self._is_in_place = devices.uses_graphs(image.device) and optimizer.capturable and objective.capturable
        evaluation = objective.evaluate(image)
        self._labels, self._numbers, self._gradient = evaluation.labels, evaluation.numbers, evaluation.gradient
        if self._is_in_place:
            self.image, self.best = image.clone(), image.clone()
        self._lowest = torch.full_like(self._numbers, float("inf"))
        if record is not None:
            self.best = record.best
            self._lowest.copy_(record.lowest)
        self._log = self._numbers.new_zeros(
            self._rows, len(self._numbers) + 1
        )  # the numbers, and whether all was finite
        self._row = torch.zeros((), dtype=torch.long, device=image.device)
        self._log_evaluation()

    def steps(self, burst: int) -> Iterator[Evaluation | None]:
        """Take all steps; yield what was said of each image, without its gradient, or None where that was not finite.

        Args:
            burst: how many steps are taken before the device is waited for. `image` is the last one of the burst.

        """
        move, recorded = self._advance, False
        moved = 1
        for first in range(0, self._rows, burst):
            last = min(first + burst, self._rows)
            while moved < last:
                move()
                moved += 1
                self.steps_done += 1
                if self._is_in_place and not recorded and moved > _SET_UP:
                    move, recorded = self._capture_step(), True
            self._copy_from_graph()
            for index, row in enumerate(self._log[first:last].cpu(), first):
                if not row[-1]:
                    yield None
                elif index >= self._before:
                    yield Evaluation(self._labels, row[:-1], None)
        self._return_graph()

    def _capture_step(self) -> Callable[[], None]:
        """Return what takes a step as one graph: that of an earlier picture, or a new one."""
        aims = self._objective.graph_key_and_targets if self._reuse else None
        if aims is None:
            return devices.capture(self._advance)
        self._key = self._graph_key(aims[0])
        recording = CAPTURED_STEPS.take(self._key)
        if recording is None:
            # On tensors of its own: this picture's are needed when it is finished.
            twin = copy.deepcopy(self)
            replay = devices.capture(twin._advance)
            shared = twin._objective.graph_key_and_targets
            if replay == twin._advance or shared is None:
                return self._advance
            recording = CapturedStep(replay, twin.tensors, shared[1])
        self._captured = recording
        _copy(self.tensors, recording.state)
        _copy(aims[1], recording.targets)
        return recording.replay

    def _graph_key(self, aim: Hashable) -> Hashable:
        """Return what two descents must have in common for the graph of one to be the other's."""
        slowed = float(self._optimizer.state()["damping"])
        shapes = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in self.tensors)
        return aim, self._optimizer.settings, slowed, shapes, devices.tf32_settings()

    @property
    def tensors(self) -> list[Tensor]:
        """What a step changes, where it is captured."""
        assert self._gradient is not None
        learnt = [tensor for name, tensor in self._optimizer.state().items() if name != "damping"]
        return [self.image, self.best, self._numbers, self._gradient, self._lowest, self._log, self._row, *learnt]

    def _copy_from_graph(self) -> None:
        """Take over what a graph on other tensors has done."""
        if self._captured is not None:
            _copy(self._captured.state, self.tensors)

    def _return_graph(self) -> None:
        """Leave the graph to the next picture."""
        if self._captured is not None:
            CAPTURED_STEPS.put(self._key, self._captured)
            self._captured = None

    def _advance(self) -> None:
        image, evaluation = self._step()
        if evaluation is None:
            if not self._is_in_place:
                self._gradient = None  # as large as an image, and of no more use
            evaluation = self._objective.evaluate(image)
        if self._is_in_place:
            assert self._gradient is not None
            self.image.copy_(image)
            self._numbers.copy_(evaluation.numbers)
            self._gradient.copy_(gradient_of(evaluation))
        else:
            self.image, self._numbers, self._gradient = image, evaluation.numbers, gradient_of(evaluation)
        self._log_evaluation()

    def _step(self) -> tuple[Image, Evaluation | None]:
        evaluation = Evaluation(self._labels, self._numbers, self._gradient)
        return self._optimizer.step(self.image, evaluation, self._objective.evaluate)

    def _log_evaluation(self) -> None:
        assert self._gradient is not None
        finite = self._numbers.isfinite().all() & self._gradient.isfinite().all()
        row = torch.cat([self._numbers, finite.to(self._numbers)[None]])
        self._log.index_copy_(0, self._row[None], row[None])
        self._row += 1
        better = finite & (self._numbers[0] < self._lowest[0])
        self._lowest.copy_(torch.where(better, self._numbers, self._lowest))
        if self._is_in_place:
            self.best.copy_(torch.where(better, self.image, self.best))
        elif better:
            self.best = self.image

    @property
    def best_image(self) -> BestImage:
        """The best image and what it is worth; not copied."""
        return BestImage(self.best, self._lowest)

    @property
    def lowest(self) -> Evaluation:
        """What the objective said of the best image."""
        return Evaluation(self._labels, self._lowest, None)

    def final_candidate(self) -> tuple[Image, Evaluation | None]:
        """Return what to show after one more step, and what the objective says of it if that is known."""
        image, evaluation = self._step()
        result = self._optimizer.result(image)
        return result, evaluation if result is image else None


@dataclass
class ScaleProgress:
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
        best, lowest = self.descent.best_image
        return Snapshot(
            scale=scale,
            done=self.base + self.descent.steps_done,
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


def _copy(those: list[Tensor], into: list[Tensor]) -> None:
    for tensor, place in zip(those, into, strict=True):
        place.copy_(tensor)


# Ours: some 0.6 GB for each at 1024 px; larger pictures take so long that a capture is nothing.
_MOST_PIXELS = 1_200_000
# The first step sets an optimiser up; after the second, every step is the same operations on the same tensors.
_SET_UP = 2
