"""The painting of one picture by a command: output, display and interruption."""

import dataclasses
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click

from impasto.cli import checkpoints
from impasto.cli.display import plans
from impasto.cli.display import progress as progress_display
from impasto.cli.display.notes import Notes, where
from impasto.cli.options import output as output_options
from impasto.cli.signals import Cause, EarlyEnd, Interrupted, Stop, signals
from impasto.cli.values import Options
from impasto.errors import PictureError
from impasto.jobs.output import Output, Stages
from impasto.reports.advice import Advice
from impasto.reports.events import Finished, Stepped
from impasto.system import cgroups
from impasto.system.signals import CHECKPOINT

if TYPE_CHECKING:
    from impasto.engine.run import Run
    from impasto.jobs.job import Job
    from impasto.picture import Picture


def set_threads() -> None:
    """Have no more threads than cores, and let waiting ones sleep; must be called before torch is imported."""
    # Unless the person set it: beside another busy program, a run takes its share of the time (two at once: 31 s each
    # instead of 153 s), for 4 % when alone. Ours, measured at 256 px.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if cgroups.processor_limit() is not None:
        # PyTorch takes all cores of the machine, and the group's threads would then be halted in turn.
        os.environ.setdefault("OMP_NUM_THREADS", str(cgroups.count_cores()))


def finish(job: "Job", output: Output, options: Options) -> None:
    """Paint a job, or with --dry-run print its plan.

    Args:
        job: what to paint.
        output: where the picture goes.
        options: the values of the command's options.

    """
    run = dataclasses.replace(job, compute=output_options.read_compute(options)).start()
    if options["dry_run"]:
        click.echo(describe_plan(run, output))
        return
    say = Notes(quiet=options["quiet"])
    say.about(run.notes)
    say.about(checkpoints.enable(run, output, options))
    say.hints(run.early_advice)
    listener = progress_display.make_listener(
        quiet=options["quiet"], as_json=options["as_json"], terminal=sys.stderr.isatty()
    )
    paint(run, output, listener, say)


def paint(run: "Run", output: Output, listener: progress_display.Listener, say: "Notes") -> None:
    """Run to the end, or to the first signal to stop or error of any kind, and write the picture.

    Args:
        run: to go through.
        output: where the picture goes.
        listener: shows the events.
        say: prints notes.

    """
    stages = Stages(output, run.steps_done)
    advice: tuple[Advice, ...] = ()
    stop = Stop(run)
    has_checkpoint = False
    with signals(stop.answer, stop.NUMBERS):
        with EarlyEnd() as end, listener:
            for event in run:
                listener.show(event)
                if isinstance(event, Stepped):
                    stages.show(run.picture)
                elif isinstance(event, Finished):
                    # The early advice has been printed.
                    advice = tuple(item for item in event.advice if item not in run.early_advice)
                stop.check()
        stopped = end.cause
        say.about(stages.notes)
        # On a second signal stop at once; the last checkpoint is as good.
        with suppress(Interrupted):
            has_checkpoint = isinstance(stopped, Interrupted) and run.resumable and checkpoints.save(run)
    # Before the first step the image is only what the run starts from.
    has_picture = run.has_image and (stopped is None or run.steps_done > 0)
    if has_picture:
        picture = _picture(run, stopped)
        # The picture is written, however often Ctrl-C is pressed now.
        with signals(signal.SIG_IGN, stop.NUMBERS):
            try:
                say.about(output.write(picture))
            except PictureError:
                _describe_resume(run, output)
                raise
        result = f"{picture.width}x{picture.height}, to {where(output)}"
        if stopped is None:
            say.line(f"saved {result}")
            say.hints(advice)
        else:
            cause = f"{stopped}: " if isinstance(stopped, Interrupted) else ""
            click.echo(f"impasto: {cause}saved what there is, {result}", err=True)
            _describe_resume(run, output)
    elif stopped is not None:
        _describe_resume(run, output)
    checkpoints.release(run, safe=stopped is None)
    if isinstance(stopped, Exception):
        raise stopped
    if isinstance(stopped, Interrupted):
        if not has_picture:
            click.echo(f"impasto: {stopped} before the first step; nothing was written", err=True)
        # A scheduler that asked for a checkpoint with SIGUSR1 and got one sees success.
        sys.exit(0 if has_checkpoint and stopped.number == CHECKPOINT else stopped.exit_code)


def _picture(run: "Run", stopped: Cause | None) -> "Picture":
    try:
        return run.picture()
    except Exception as error:
        # Where memory ran out, for instance, the first error says more than the second.
        raise stopped or error from error


def end_early(stopped: Cause, saved: str, nothing: str) -> NoReturn:
    """Tell what was saved before many pictures were finished, and end as the command has to.

    Args:
        stopped: what stopped it.
        saved: in words; empty if nothing was.
        nothing: what to add where nothing was saved.

    """
    interrupted = isinstance(stopped, Interrupted)
    if saved:
        click.echo(f"impasto: {f'{stopped}: ' if interrupted else ''}{saved}", err=True)
    elif interrupted:
        click.echo(f"impasto: {stopped} {nothing}", err=True)
    if isinstance(stopped, Exception):
        raise stopped
    sys.exit(stopped.exit_code)


def _describe_resume(run: "Run", output: Output) -> None:
    line = checkpoints.resume_hint(run, output)
    if line is not None:
        click.echo(line, err=True)


def describe_plan(run: "Run", output: Output) -> str:
    """Return the plan of a run, one line per fact."""
    largest = run.plans[-1]
    return "\n".join(
        [
            f"recipe  {run.recipe.name}, digest {run.recipe.digest[:12]}",
            f"scales  {progress_display.describe_scales(run.scales)}",
            f"device  {run.device}",
            f"memory  {plans.describe_memory(run.expected_memory)}",
            f"time    {plans.describe_time(run.expected_seconds)}",
            f"tiles   {progress_display.describe_tiles(largest.tile)}",
            f"output  {where(output)}",
        ]
    )
