"""What tasks will take, from the sizes of their pictures: seconds, memory, and how many workers fit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from impasto.engine import devices
from impasto.engine.masks import Area, Masks
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.errors import DeviceError
from impasto.executors.task import Task
from impasto.picture import Measure, Picture
from impasto.recipe import Inputs, pair_styles, schedule
from impasto.recipe.schedule import Scale
from impasto.system.cgroups import count_cores

# Ours: a reserve for the system, and for what the planner does not see of several processes.
_USABLE = 0.9


@dataclass(frozen=True)
class TaskCost:
    """What one task will take; each None on devices where it was not measured.

    Attributes:
        scales: sizes and steps, coarsest first.
        memory: peak of a process in bytes.
        seconds: with all cores.

    """

    scales: tuple[Scale, ...]
    memory: int | None
    seconds: float | None


def step_pixels(scales: Iterable[Scale]) -> float:
    """Return how much there is to do, a step counting as many times as its picture has pixels."""
    return float(sum(scale.height * scale.width * scale.steps for scale in scales))


def scales_of(task: Task, measures: Mapping[str, Measure]) -> tuple[Scale, ...]:
    """Return the scales of a task; of a photo that cannot be read, as if it were a square of the recipe's size."""
    side = 512 if task.recipe.size == "original" else task.recipe.size
    height, width, _ = measures.get(task.inputs.photo, Measure(side, side, ""))
    return schedule.scales(height, width, task.recipe)


class Estimator:
    """Estimates what tasks will take; equal tasks are estimated once.

    Args:
        measures: of the pictures by path; a task that reads others cannot be estimated.

    """

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        self._measures = measures
        self._known: dict[object, TaskCost | DeviceError] = {}

    def cost(self, task: Task) -> TaskCost | None:
        """Return what a task will take; None if one of its pictures was not measured.

        Raises:
            DeviceError: there is no such device, or no plan fits into its memory.

        """
        inputs = task.inputs
        paths = [inputs.photo, *(style.picture for style in inputs.styles)]
        if any(path not in self._measures for path in paths):
            return None
        sizes = tuple(self._measures[path][:2] for path in paths)
        masked = any((inputs.content_mask, inputs.protect, *inputs.style_masks))
        key = (task.recipe.digest, sizes, masked, inputs.style_scales, task.compute)
        if key not in self._known:
            try:
                self._known[key] = _task_cost(task, sizes, masked=masked)
            except DeviceError as error:
                self._known[key] = error
        need = self._known[key]
        if isinstance(need, DeviceError):
            raise need
        return need


def _task_cost(task: Task, sizes: Sequence[tuple[int, int]], *, masked: bool) -> TaskCost:
    photo, *pictures = (Picture(np.broadcast_to(np.float32(0.5), (3, *size))) for size in sizes)
    # This process only plans: a context on a GPU would take memory from the worker that paints there.
    device, *_ = devices.choose(task.compute.device, computes=False).devices
    masks = Masks(areas=(Area(None, ()),)) if masked else Masks()
    styles = pair_styles(pictures, scales=task.inputs.style_scales)
    scene = Scene(Inputs(photo, styles), task.recipe, device, masks)
    total = devices.total_memory(device)
    limit = task.compute.memory_limit or (None if total is None else int(_USABLE * total))
    run = Run(scene, max_memory=limit, precision=task.compute.precision)
    _ = run.plans  # raises if nothing fits into memory
    return TaskCost(run.scales, run.expected_memory, run.expected_seconds)


@dataclass(frozen=True)
class WorkerPlan:
    """The workers of a machine.

    Attributes:
        devices: one for each worker.
        threads: of each worker on a CPU.
        note: what a person should know; empty if nothing.

    """

    devices: tuple[str, ...]
    threads: int
    note: str = ""


def plan_workers(device: str, requested: int | None, tasks: int, memory: int | None) -> WorkerPlan:
    """Return the workers for some tasks: one per device; on the CPU as many as cores and memory allow.

    Args:
        device: as `--device` takes it.
        requested: largest number of workers; None for as many as fit.
        tasks: number of tasks.
        memory: bytes that the largest task takes; None if unknown.

    Raises:
        UsageError: there is no device of that name.
        DeviceError: this machine does not have it.

    """
    parsed_devices, skipped = devices.choose(device, computes=False)
    count_wanted = min(requested or max(count_cores(), len(parsed_devices)), max(1, tasks))
    if parsed_devices[0].type != "cpu":
        count = min(count_wanted, len(parsed_devices))
        fewer = []
        if requested and count < count_wanted:
            fewer = [f"{count} worker{'s' if count > 1 else ''}, not {requested}: one a device"]
        return WorkerPlan(tuple(map(str, parsed_devices[:count])), 1, "; ".join([*skipped, *fewer]))
    available = devices.available_memory(parsed_devices[0])
    fitting = count_wanted if memory is None or available is None else max(1, int(_USABLE * available / memory))
    count = min(count_wanted, fitting, max(1, count_cores()))
    fewer = []
    if requested and count < count_wanted:
        basis = "as many as there are cores" if count == count_cores() else "no more fit into memory"
        fewer = [f"{count} worker{'s' if count > 1 else ''}, not {requested}: {basis}"]
    return WorkerPlan(("cpu",) * count, max(1, count_cores() // count), "; ".join([*skipped, *fewer]))
