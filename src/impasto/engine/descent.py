"""The descent at one scale: evaluate, step, keep the best image; on CUDA, steps are replays of a captured graph."""

import atexit
import copy
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.engine import devices, graphs
from impasto.engine.checkpoints import Snapshot
from impasto.engine.objective import Evaluation, Objective, gradient_of
from impasto.engine.optimizers import Optimizer
from impasto.engine.planning import Plan
from impasto.ops.shapes import Image
from impasto.system.cache import Cache

# Images that may be the result of a scale, with their evaluations if known.
Candidates = list[tuple[Image, Evaluation | None]]


class BestImage(NamedTuple):
    """The image of the lowest loss in a descent, and its `Evaluation.numbers`."""

    best: Image
    lowest: Tensor


@dataclass(frozen=True)
class CapturedStep:
    """A step captured in a CUDA graph, and the tensors that it reads and writes.

    Attributes:
        replay: takes the step.
        state: the tensors that a step changes, in the order of `Descent.tensors`.
        targets: the targets of the losses, in the order of `Objective.graph_key_and_targets`.
        owner: the descent that was captured, whose every tensor, and whose network, the graph may read.
        memory_share: the fraction of the device's memory that the graph and its tensors hold.

    """

    replay: Callable[[], None]
    state: list[Tensor]
    targets: list[Tensor]
    owner: "Descent"
    memory_share: float


# The graphs of the recipes and sizes used last, for the next pictures of this process. A graph in use is not in here.
# Ours: a quarter of the memory is for them.
CAPTURED_STEPS: Cache[CapturedStep] = Cache(6, lambda step: step.memory_share, 0.25)
# Free CUDA graphs before the interpreter tears the context down.
atexit.register(CAPTURED_STEPS.clear)


class Descent:
    """One descent: the present image, its evaluation, and the best image so far.

    A step does not wait for the device: losses go to a log on the device, which is read once in several steps. On CUDA
    the steps after the second replay one graph instead of launching hundreds of kernels. The graph is captured once for
    all pictures of the same size and recipe in a process; where capturing fails, steps are taken as on the CPU.

    Args:
        objective: is minimised.
        optimizer: computes the next image from the present one and its gradient.
        image: (1, 3, H, W) to start from.
        steps: number of evaluations. The evaluation of `image` is the first of them, unless `record` is given.
        record: the best image of the descent that this one continues. `image` was evaluated by that descent; it is
            evaluated again for its gradient, which is not counted as a step.
        reuse: whether captured graphs, and the memory they hold, may be kept for the next picture.

    Attributes:
        image: the image evaluated last.
        best: the image of the lowest loss so far.
        steps_done: number of steps taken.
        is_in_place: whether every tensor keeps its address from step to step, as a captured graph needs it.

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
        self.objective = objective
        self._optimizer = optimizer
        # On resume the first evaluation repeats one already reported; it is no step.
        self._n_repeated = 0 if record is None else 1
        self._rows = steps + self._n_repeated
        self.steps_done = 1 - self._n_repeated
        self.is_in_place = devices.uses_graphs(image.device) and objective.capturable
        evaluation = objective.evaluate(image)
        self._labels, self._numbers, self._gradient = evaluation.labels, evaluation.numbers, evaluation.gradient
        if self.is_in_place:
            self.image, self.best = image.clone(), image.clone()
        self._lowest = torch.full_like(self._numbers, float("inf"))
        if record is not None:
            self.best = record.best
            self._lowest.copy_(record.lowest)
        # Rows of the latest evaluations, each with its numbers, and whether loss and gradient were finite.
        self._log = self._numbers.new_zeros(min(self._rows, _LOGGED), len(self._numbers) + 1)
        self._row = torch.zeros((), dtype=torch.long, device=image.device)
        self._log_evaluation()

    def steps(self, burst: int) -> Iterator[Evaluation | None]:
        """Take all steps; yield each image's evaluation, without its gradient, or None where it was not finite.

        Args:
            burst: largest number of steps taken before waiting for the device; fewer where they are slow. Within a
                burst, `image` is that of its end.

        """
        advance, is_captured = self._advance, False
        burst = min(burst, _LOGGED)
        n_evaluated, first, last = 1, 0, min(burst, _SET_UP + 1, self._rows)
        while first < self._rows:
            started = time.perf_counter()
            while n_evaluated < last:
                advance()
                n_evaluated += 1
                self.steps_done += 1
                if (
                    self.is_in_place
                    and not is_captured
                    and n_evaluated > _SET_UP
                    and self._is_worth_capturing(n_evaluated)
                ):
                    advance, is_captured = self._capture_step(), True
            self._copy_from_graph()
            log = self._log.cpu()
            rows = [log[index % len(log)] for index in range(first, last)]
            step_seconds = max((time.perf_counter() - started) / len(rows), 1e-6)
            for index, row in enumerate(rows, first):
                if not row[-1]:
                    yield None
                elif index >= self._n_repeated:
                    yield Evaluation(self._labels, row[:-1], None)
            first, last = last, min(last + min(burst, 1 + int(_BURST_SECONDS / step_seconds)), self._rows)
        self._return_graph()

    def _is_worth_capturing(self, n_evaluated: int) -> bool:
        """Whether a graph is kept for the next pictures, or saves more in the steps left than capturing it takes."""
        is_kept = self._reuse and self.objective.graph_key_and_targets is not None
        return is_kept or self._rows - n_evaluated >= _WORTH_CAPTURING

    def _capture_step(self) -> Callable[[], None]:
        """Return a function that takes a step as one graph: an earlier picture's, or one captured now."""
        key_and_targets = self.objective.graph_key_and_targets if self._reuse else None
        if key_and_targets is None:
            return self._capture(self)
        self._key = self._graph_key(key_and_targets[0])
        captured = CAPTURED_STEPS.take(self._key)
        if captured is None:
            # Capture on copies of the tensors: the next picture overwrites them, and this one's are still needed then.
            share_before = devices.reserved_share(self.image.device)
            twin = copy.deepcopy(self)
            replay = self._capture(twin)
            twins = twin.objective.graph_key_and_targets
            if replay == twin._advance or twins is None:
                return self._advance
            share = devices.reserved_share(self.image.device) - share_before
            captured = CapturedStep(replay, twin.tensors, twins[1], twin, share)
        self._captured = captured
        _copy(self.tensors, captured.state)
        _copy(key_and_targets[1], captured.targets)
        return captured.replay

    def _capture(self, descent: "Descent") -> Callable[[], None]:
        return graphs.capture(descent._advance, self.image.device, self.objective.digest)

    def _graph_key(self, objective_key: Hashable) -> Hashable:
        """Return the key under which a graph is shared: all that is baked into it beside the values of its tensors."""
        damping = float(self._optimizer.state()["damping"])
        shapes = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in self.tensors)
        return objective_key, self._optimizer.settings, damping, shapes, devices.tf32_settings()

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that a captured step changes."""
        assert self._gradient is not None
        learnt = [tensor for name, tensor in self._optimizer.state().items() if name != "damping"]
        return [self.image, self.best, self._numbers, self._gradient, self._lowest, self._log, self._row, *learnt]

    def _copy_from_graph(self) -> None:
        """Copy the results out of the tensors of a shared graph."""
        if self._captured is not None:
            _copy(self._captured.state, self.tensors)

    def _return_graph(self) -> None:
        """Make the graph available to the next picture."""
        if self._captured is not None:
            CAPTURED_STEPS.put(self._key, self._captured)
            self._captured = None

    def _advance(self) -> None:
        """Take a step and evaluate the new image."""
        image = self._step()
        if not self.is_in_place:
            # Free the gradient, as large as an image, before the next one is computed.
            self._gradient = None
        evaluation = self.objective.evaluate(image)
        if self.is_in_place:
            assert self._gradient is not None
            self.image.copy_(image)
            self._numbers.copy_(evaluation.numbers)
            self._gradient.copy_(gradient_of(evaluation))
        else:
            self.image, self._numbers, self._gradient = image, evaluation.numbers, gradient_of(evaluation)
        self._log_evaluation()

    def _step(self) -> Image:
        return self._optimizer.step(self.image, Evaluation(self._labels, self._numbers, self._gradient))

    def _log_evaluation(self) -> None:
        """Add the present evaluation to the log, and update the best image; all on the device."""
        assert self._gradient is not None
        is_finite = self._numbers.isfinite().all() & self._gradient.isfinite().all()
        row = torch.cat([self._numbers, is_finite.to(self._numbers)[None]])
        self._log.index_copy_(0, self._row[None] % len(self._log), row[None])
        self._row += 1
        is_best = is_finite & (self._numbers[0] < self._lowest[0])
        self._lowest.copy_(torch.where(is_best, self._numbers, self._lowest))
        if self.is_in_place:
            self.best.copy_(torch.where(is_best, self.image, self.best))
        elif is_best:
            self.best = self.image

    @property
    def best_image(self) -> BestImage:
        """The best image and its numbers; not copied."""
        return BestImage(self.best, self._lowest)

    @property
    def lowest(self) -> Evaluation:
        """The evaluation of the best image, without its gradient."""
        return Evaluation(self._labels, self._lowest, None)

    def final_candidate(self) -> Image:
        """Return the optimizer's result after one more step, whose loss may be lower than that of the best image."""
        return self._optimizer.result(self._step())


@dataclass
class ScaleProgress:
    """The progress of one scale: one descent, or several where a loss was not finite.

    Attributes:
        start: the image at the start of the scale, if the scale's result is to be compared with it.
        first: the numbers of the first evaluation.
        failures: how often a loss was not finite.
        base: number of steps taken before the present descent.
        descent: the present one.
        record: the best image of an interrupted run, from which the first descent continues.

    """

    start: Image | None
    first: Tensor | None = None
    failures: int = 0
    base: int = 0
    descent: Descent | None = None
    record: BestImage | None = None

    @classmethod
    def resume(cls, start: Image | None, snapshot: Snapshot | None) -> "ScaleProgress":
        """Return the progress in a snapshot; that of a new scale, without a snapshot or if its descent starts anew."""
        if snapshot is None or snapshot.lowest is None:
            return cls(start)
        record = BestImage(snapshot.best, snapshot.lowest)
        return cls(snapshot.start, snapshot.first, snapshot.failures, record=record)

    def candidates(self) -> Candidates:
        """Return the images that may be the result of the scale, with their evaluations if known."""
        assert self.descent is not None
        descent = self.descent
        candidates: Candidates = [(descent.final_candidate(), None), (descent.best, descent.lowest)]
        if self.start is not None:
            labels = descent.lowest.labels
            candidates.append((self.start, None if self.first is None else Evaluation(labels, self.first, None)))
        return candidates

    def snapshot(self, scale: int, seconds: float, plans: tuple[Plan, ...], optimizer: Optimizer) -> Snapshot:
        """Return the state from which the run can continue at the image evaluated last.

        The tensors are not copied, so the snapshot is valid until the next step.

        Args:
            scale: index of the scale, 0 is the coarsest.
            seconds: that the run has taken so far.
            plans: how each scale is computed.
            optimizer: of the present descent.

        """
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


def best_clipped(objective: Objective, candidates: Candidates) -> tuple[Image, Evaluation] | None:
    """Return the candidate of the lowest loss, clipped to [0, 1] as it is saved, and its evaluation.

    None if the loss of every candidate is not finite.
    """
    best: tuple[Image, Evaluation] | None = None
    for image, evaluation in candidates:
        clipped = image.clamp(0, 1)
        if evaluation is None or not torch.equal(clipped, image):
            evaluation = objective.evaluate(clipped, gradient=False)
        if evaluation.is_finite and (best is None or evaluation.loss < best[1].loss):
            best = clipped, evaluation
    return best


def _copy(sources: list[Tensor], destinations: list[Tensor]) -> None:
    for source, destination in zip(sources, destinations, strict=True):
        destination.copy_(source)


# Ours: a graph holds some 0.6 GB at 1024 px; larger pictures take so long that capturing anew costs nothing.
_MOST_PIXELS = 1_200_000
# Ours: more than the largest burst.
_LOGGED = 64
# Ours: previews come, and a request to stop is seen, this often.
_BURST_SECONDS = 0.5
# The first step allocates the optimizer's state; after the second, every step is the same operations on the same
# tensors.
_SET_UP = 2
# Ours, estimated for an H100: capturing takes some 25 ms, and a replay of a small picture's step saves about 2 ms.
_WORTH_CAPTURING = 12
