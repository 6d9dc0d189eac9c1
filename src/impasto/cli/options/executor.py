"""The options `--on` and `--workers`, and the executor that they ask for."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from impasto.cli.display import notes as notes_display
from impasto.cli.values import Command, Options
from impasto.errors import UsageError
from impasto.executors.task import Task
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.executors.base import Executor
    from impasto.executors.estimate import TaskCost


def executor_options(default: str | None) -> Callable[[Command], Command]:
    """Give a command the options of the executor."""

    def decorate(function: Command) -> Command:
        for option in reversed((_on(default), _WORKERS, _GPUS)):
            function = option(function)
        return function

    return decorate


def _on(default: str | None) -> Callable[[Command], Command]:
    return click.option(
        "--on",
        default=default,
        show_default=default is not None,
        metavar="inline|local|ray|ADDRESS",
        help="Where to paint: in this process, in processes of this machine, on a Ray cluster of this machine's own, "
        "or on the one at ADDRESS (host:port or ray://host:port).",
    )


_WORKERS = click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Pictures at once, at most [default: one a GPU; on CPUs one a core, as many as fit into memory].",
)
_GPUS = click.option(
    "--gpus",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="The part of a GPU that a worker on Ray asks for [default: 1 with --device cuda, else 0].",
)


def check(options: Options) -> None:
    """Refuse an unknown executor, and options that the chosen one does not use.

    Raises:
        UsageError: naming the option.

    """
    on = options["on"]
    if on not in (None, "inline", "local", "ray") and ":" not in on:
        raise UsageError(
            f"--on {printable(on)}: is no place to paint; choose inline, local, ray or an address host:port"
        )
    if on in (None, "inline") and options["workers"]:
        raise UsageError("--workers is for --on local or ray; this process paints one picture at a time")
    if on in (None, "inline", "local") and options["gpus"] is not None:
        raise UsageError("--gpus is for --on ray; on this machine a worker has a GPU to itself")


def make_executor(
    options: Options, tasks: Sequence[Task], needs: "Mapping[int, TaskCost | str]", say: notes_display.Notes
) -> "Executor":
    """Return the executor for some tasks.

    Args:
        options: the values of `executor_options`, and the device.
        tasks: to be painted.
        needs: what each task will take, by its number.
        say: prints notes about the workers.

    Raises:
        ImpastoError: the executor cannot be reached, or the device does not exist.

    """
    from impasto.executors.inline import Inline

    on = options["on"]
    estimates = [need.memory for need in needs.values() if not isinstance(need, str) and need.memory is not None]
    memory = max(estimates, default=None)
    if on == "inline":
        return Inline()
    if on == "local":
        from impasto.executors.estimate import plan_workers
        from impasto.executors.pool import Pool
        from impasto.executors.processes import ProcessFactory

        plan = plan_workers(options["device"], options["workers"], len(tasks), memory)
        if plan.note:
            say.line(f"note: {plan.note}")
        return Pool(ProcessFactory(plan.devices, plan.threads), len(plan.devices))
    from impasto.executors import ray_cluster

    return ray_cluster.make_pool(
        None if on == "ray" else on,
        device=options["device"],
        workers=options["workers"],
        tasks=len(tasks),
        memory=memory,
        gpus=options["gpus"],
    )
