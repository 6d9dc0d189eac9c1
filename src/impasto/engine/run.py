"""The run: an iterator of events that paints one picture, scale by scale."""

import contextlib
import dataclasses
import functools
import gc
import time
from collections.abc import Generator, Iterator, Sequence

import torch

from impasto.engine import devices, observe, optimizers, palettes, planning
from impasto.engine.budget import Budget
from impasto.engine.checkpoints import CheckpointWriter, Folder, Snapshot, document
from impasto.engine.descent import CAPTURED_STEPS, Candidates, Descent, ScaleProgress, best_clipped
from impasto.engine.initial import first_image, next_image
from impasto.engine.networks import load_network
from impasto.engine.objective import Evaluation, Objective
from impasto.engine.optimizers import Optimizer
from impasto.engine.own_settings import own_settings, with_own_settings
from impasto.engine.palettes import Recolor
from impasto.engine.planning import Plan
from impasto.engine.scene import Scene
from impasto.errors import DeviceError, DeviceLostError, DivergedError, UsageError
from impasto.ops.shapes import Image
from impasto.picture import Picture
from impasto.recipe import LBFGS, Precision
from impasto.recipe.schedule import Scale
from impasto.reports import advice
from impasto.reports.advice import Advice
from impasto.reports.events import (
    Adapted,
    Checkpointed,
    CheckpointFailed,
    Event,
    Finished,
    ScaleStarted,
    Started,
    Stepped,
)
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import reason
from impasto.vgg import convolutions
from impasto.vgg.network import VGG


class Run:
    """One picture being painted.

    Iterating does the work; each event reports progress. Not asking for the next event pauses the run; closing or
    dropping it ends the run. `picture` returns the present image at any time.

    Args:
        scene: the pictures, the recipe and the device.
        others: further devices, which compute tiles too where a picture is computed in tiles.
        max_memory: limit in bytes, of the process on the CPU, of the device elsewhere; None for all that is free.
        precision: see `impasto.engine.devices.dtype`.
        snapshot: the state of an interrupted run of the same pictures, from which this one continues.
        method: the convolution method on a CPU in float32; None for the fastest on this machine.

    """

    def __init__(
        self,
        scene: Scene,
        *,
        others: Sequence[torch.device] = (),
        max_memory: int | None = None,
        precision: Precision = "auto",
        snapshot: Snapshot | None = None,
        method: convolutions.Method | None = None,
    ) -> None:
        self.recipe = scene.recipe
        self.device = scene.device
        self.scales = scene.scales
        self.notes = scene.notes  # what a person should know about the input pictures
        self.scene = scene
        self._devices = (scene.device, *others)
        self._limit = max_memory
        self._precision = precision
        self._method = method or convolutions.method(scene.device)
        self._dtype = devices.dtype(precision, scene.device)
        self._optimizer: Optimizer | None = None
        is_winograd = self.device.type == "cpu" and self._method == "winograd"
        self.budget = Budget(scene, max_memory, self._dtype.itemsize, is_winograd)
        self.image: Image | None = None  # with its margin, on the device
        self._image_scale: Scale = scene.scales[0]  # the scale of `image`
        self._scale_index = 0
        self._steps_of_scale = 0  # taken at the present scale
        self._finisher: tuple[Scale, Recolor, Recolor | None] | None = None  # for the scale last asked for
        self._seconds = 0.0  # spent before the run was interrupted
        self._started = 0.0
        self._progress: ScaleProgress | None = None
        self._is_between_steps = self.stepped = False  # whether it may be checkpointed now; whether any step was taken
        self.checkpoint_writer: CheckpointWriter | None = None
        self._is_finished = False
        self._losses: list[float] = []  # of the present scale
        self._snapshot = snapshot
        if snapshot is not None:
            self.image, self._image_scale = snapshot.image, self.scales[snapshot.scale]
            self._scale_index, self._steps_of_scale, self._seconds = snapshot.scale, snapshot.done, snapshot.seconds
            self.plans = snapshot.plans
        self._events = with_own_settings(self._paint())

    def __iter__(self) -> Iterator[Event]:
        """Return the events; they can be iterated over once."""
        return self._events

    def close(self) -> None:
        """End the run; `picture` still returns the present image."""
        self._events.close()

    @functools.cached_property
    def plans(self) -> tuple[Plan, ...]:
        """How each scale is computed, within the memory limit.

        Raises:
            DeviceError: nothing fits into the limit; the message names the largest size that would.

        """
        return self.budget.plans()

    @functools.cached_property
    def early_advice(self) -> tuple[Advice, ...]:
        """Problems that the input pictures show before painting begins; the event `Started` carries them too."""
        return observe.inputs(self.scene)

    @property
    def expected_memory(self) -> int | None:
        """Peak of main memory in bytes, reading the pictures included; None on devices where it was not measured."""
        painting = max(plan.memory for plan in self.plans)
        return max(self.scene.reading_memory, painting) if self.device.type == "cpu" else None

    @property
    def expected_seconds(self) -> float | None:
        """Duration of all steps in seconds; None on devices where this was not measured."""
        return self.budget.seconds(self.plans) if self.device.type == "cpu" else None

    @property
    def has_image(self) -> bool:
        """Whether `picture` can be called: from the first `Stepped` on."""
        return self.image is not None

    @own_settings()
    def picture(self) -> Picture:
        """Return the present image at the scale it has reached, with the photo's transparency.

        Raises:
            UsageError: no step was taken yet.

        """
        if self.image is None:
            raise UsageError("nothing has been painted yet; ask for the picture after the first Stepped event")
        if self._finisher is None or self._finisher[0] != self._image_scale:
            # Cached, since some callers ask for a picture after every step.
            scale = self._image_scale
            # The finished image has its palette; before, it is shown in the one that it will have.
            transport = None if self._is_finished else palettes.make_transport_at(self.scene, scale)
            self._finisher = scale, self.scene.finish(scale), transport
        _, finish, transport = self._finisher
        image = self.image if transport is None or self._is_finished else transport(self.image)
        return self.scene.to_picture(finish(image), finished=self._is_finished)

    @property
    def steps_done(self) -> int:
        """Number of steps taken at all scales."""
        return sum(scale.steps for scale in self.scales[: self._scale_index]) + self._steps_of_scale

    @property
    def resumable(self) -> bool:
        """Whether `checkpoint` can be called now."""
        return self.checkpoint_writer is not None and self._is_between_steps

    def enable_checkpoints(self, folder: Folder, options: ReadOnlyTable, *, every: float, keep: bool) -> None:
        """Write checkpoints from now on.

        Args:
            folder: locked by this process.
            options: plain values to keep with each checkpoint.
            every: seconds between two checkpoints.
            keep: whether they stay when the run is over.

        """
        compute_options = {
            "max_memory": self._limit,
            "precision": self._precision,
            "device": ",".join(map(str, self._devices)),
        }
        if self.device.type == "cpu":
            compute_options["convolutions"] = self._method
        table = document.table(self.scene, folder.path, compute_options | dict(options) | {"keep": keep})
        self.checkpoint_writer = CheckpointWriter(folder, table, every=every, keep=keep)

    @own_settings()
    def checkpoint(self) -> Checkpointed | CheckpointFailed:
        """Write a checkpoint of the state after the last `Stepped`, and return whether that succeeded.

        Raises:
            UsageError: checkpoints are not enabled, or the run is not between two steps.

        """
        if self.checkpoint_writer is None or not self._is_between_steps:
            raise UsageError("a checkpoint is written between two steps, into the folder that the job names for them")
        return self.checkpoint_writer.write(self._take_snapshot())

    def _take_snapshot(self) -> Snapshot:
        """Return the state after the last `Stepped`."""
        assert self._progress is not None
        assert self._optimizer is not None
        seconds = time.perf_counter() - self._started
        return self._progress.snapshot(self._scale_index, seconds, self.plans, self._optimizer)

    def _paint(self) -> Generator[Event, None, None]:
        try:
            yield from self._paint_scales()
        except torch.AcceleratorError as error:
            if devices.is_out_of_memory(error):
                raise
            # The image is lost with the device.
            self.image = None
            raise DeviceLostError(
                f"{self.device} failed ({reason(error)}) and cannot be used by this process any more; "
                "run the command again"
            ) from error

    def _paint_scales(self) -> Generator[Event, None, None]:
        started = self._started = time.perf_counter() - self._seconds
        plans = self.plans
        costs = tuple(map(planning.step_cost, *zip(*(scale[:2] for scale in self.scales), strict=True), plans))
        yield Started(self.scales, str(self.device), self.recipe.digest, self.early_advice, costs)
        # Only tiles are shared by several devices; a picture in one piece needs the first alone.
        used = self._devices if any(plan.tile is not None for plan in plans) else self._devices[:1]
        networks = [load_network(self.recipe, device, self._dtype, self._method) for device in used]
        final: Evaluation | None = None
        exact = self._precision == "float32"
        # Keeping freed pages raises peak memory; do it only when no limit was given.
        allocation = devices.keep_freed_memory(self.device) if self._limit is None else contextlib.nullcontext()
        with allocation, devices.float32_precision(self.device, exact=exact):
            for index, scale in list(enumerate(self.scales))[self._scale_index :]:
                yield ScaleStarted(index, *scale)
                self._prepare_optimizer(plans[index])
                self._losses = []
                self._scale_index = index
                if self._snapshot is None:
                    self._steps_of_scale = 0
                final = yield from self._within_memory(index, networks, started)
        assert final is not None
        self._is_finished = True
        self._optimizer = None  # frees most of the memory, which writing the result and the advice need
        steps = sum(scale.steps for scale in self.scales)
        seconds = time.perf_counter() - started
        remarks = observe.result(self.scene, self.picture, [*self._losses, final.loss])
        yield Finished(final.loss, final.terms, steps, seconds, (*self.early_advice, *remarks)[: advice.MOST])

    def _prepare_optimizer(self, plan: Plan) -> None:
        """Make the optimizer for a plan, unless the present one has the same settings; that one keeps its state."""
        settings = self.recipe.optimizer
        if isinstance(settings, LBFGS):
            settings = dataclasses.replace(settings, history=max(1, plan.history))
        if self._optimizer is None or settings != self._optimizer.settings:
            self._optimizer = optimizers.build(settings, projected=self.recipe.bounds == "projected")

    def _within_memory(self, index: int, networks: list[VGG], started: float) -> Generator[Event, None, Evaluation]:
        """Paint a scale; where memory runs out in spite of the plan, continue with a smaller plan."""
        scale, plan = self.scales[index], self.plans[index]
        while True:
            try:
                return (yield from self._paint_scale(index, plan, networks, started))
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
                # Without the graphs kept of earlier pictures the same plan may fit.
                smaller = plan if len(CAPTURED_STEPS) else self.budget.next_smaller(scale, plan)
                if smaller is None:
                    raise DeviceError(
                        f"not enough memory on {self.device} for {scale.width}x{scale.height}; "
                        f"choose a --size under {max(scale.height, scale.width)}, or another device"
                    ) from error
            # Outside of the except clause, since the error's traceback refers to the tensors that are to be freed.
            self._optimizer = self._progress = None
            CAPTURED_STEPS.clear()
            gc.collect()
            self._prepare_optimizer(smaller)
            if smaller != plan:
                plan = smaller
                self.plans = (*self.plans[:index], plan, *self.plans[index + 1 :])
                yield Adapted(index, plan.tile, plan.history)

    def _paint_scale(
        self, index: int, plan: Plan, networks: list[VGG], started: float
    ) -> Generator[Event, None, Evaluation]:
        assert self._optimizer is not None
        scale = self.scales[index]
        photo, styles, regions = self.scene.photo(scale), self.scene.style_images(scale), self.scene.regions(scale)
        protected, temporal = self.scene.protected(scale), self.scene.temporal(scale)
        objective = Objective(
            networks if plan.tile is not None else networks[:1], self.recipe, photo, styles, plan.tile,
            regions=regions, protected=protected, temporal=temporal, cached_tiles=plan.cached_tiles,
        )  # fmt: skip
        if self.image is None:
            image = first_image(self.scene, scale, photo, styles, regions)
        elif self._steps_of_scale == 0:
            image = next_image(self.scene, scale, self.image, photo, styles, regions)
            self._optimizer.restart(*photo.shape[2:])
        else:
            image = self.image
        # Free the inputs: the objective has its targets now.
        del photo, styles, regions, protected, temporal
        # Both at once, so that a picture asked for between two events is not cut with the margin of the other scale.
        self.image, self._image_scale = image, scale
        del image
        final = yield from self._descend(objective, index, started)
        if index == len(self.scales) - 1 and (transport := palettes.make_transport_at(self.scene, scale)) is not None:
            # The loss reported is that of the picture saved.
            self.image = transport(self.image)
            final = objective.evaluate(self.image, gradient=False)
        return final

    def _descend(self, objective: Objective, index: int, started: float) -> Generator[Event, None, Evaluation]:
        """Minimise the objective from `self.image` on, leave the best image there, and return its evaluation."""
        assert self.image is not None
        assert self._optimizer is not None
        # With free bounds the clipped result may be worse than the clipped start, so the start is compared too. With
        # projected bounds no result is worse than the start.
        progress = ScaleProgress.resume(self.image if self.recipe.bounds == "free" else None, self._snapshot)
        if self._snapshot is not None and progress.record is not None:
            self._optimizer.load(self._snapshot.optimizer)
        # Free the snapshot: it is as large as the whole state of the optimizer.
        self._snapshot, self._progress = None, progress
        steps = self.scales[index].steps
        # The result if memory ran out after the last step was taken, so that there is no step left.
        candidates: Candidates = [(self.image, None)]
        while self._steps_of_scale < steps or progress.record is not None:
            steps_left, reuse = max(0, steps - self._steps_of_scale), self._limit is None
            descent = Descent(objective, self._optimizer, self.image, steps_left, progress.record, reuse=reuse)
            progress.descent, progress.base, progress.record = descent, self._steps_of_scale, None
            try:
                is_finite = yield from self._take_steps(descent, progress, index, started)
                if is_finite:
                    candidates = progress.candidates()
            except Exception:
                # When memory ran out, the next plan continues from here; after another error this is what is saved.
                self.image = descent.best
                raise
            self.image = descent.best
            if is_finite:
                break
            progress.failures += 1
            if progress.failures > _RETRIES:
                raise _divergence(progress.failures)
            self._optimizer.slow_down()
        result = best_clipped(objective, candidates)
        if result is None:
            raise _divergence(progress.failures)
        self.image, final = result
        self._progress = None
        return final

    def _take_steps(
        self, descent: Descent, progress: ScaleProgress, index: int, started: float
    ) -> Generator[Event, None, bool]:
        """Take the steps of a descent; return whether every loss and gradient was finite."""
        for evaluation in descent.steps(devices.steps_per_wait(self.device, is_captured=descent.is_in_place)):
            self.image = descent.image
            if evaluation is None:
                return False
            self._steps_of_scale += 1
            self._losses.append(evaluation.loss)
            progress.first = evaluation.numbers if progress.first is None else progress.first
            step, steps = self._steps_of_scale, self.scales[index].steps
            seconds = time.perf_counter() - started
            yield from self._yield_and_checkpoint(
                Stepped(index, step, steps, evaluation.loss, evaluation.terms, seconds)
            )
        return True

    def _yield_and_checkpoint(self, event: Event) -> Generator[Event, None, None]:
        """Yield `event`, and after it write a checkpoint if one is due."""
        self._is_between_steps = self.stepped = True
        yield event
        if self.checkpoint_writer is not None:
            is_last = self._scale_index == len(self.scales) - 1 and self._steps_of_scale >= self.scales[-1].steps
            yield from self.checkpoint_writer.write_if_due(self._take_snapshot, is_last=is_last)
        self._is_between_steps = False


# Ours: enough to get over a rare overflow, few enough to fail soon.
_RETRIES = 5


def _divergence(failures: int) -> DivergedError:
    return DivergedError(
        f"the loss or its gradient was not finite {failures} times, in spite of smaller and smaller steps; "
        "try lower weights, or the recipe 'default'"
    )
