"""What every command that paints has in common: where the picture goes, what is shown, how it is interrupted."""

import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from impasto import sizes
from impasto.advice import Advice
from impasto.cli import keeping, progress
from impasto.cli.interrupting import Interrupted, Stop, signals
from impasto.errors import ImpastoError, PictureError, UsageError
from impasto.events import Finished, Stepped
from impasto.messages import shown
from impasto.outputs import STREAM as STREAM
from impasto.outputs import Output as Output
from impasto.outputs import Stages as Stages
from impasto.picture import PictureSource
from impasto.picture.output import COMPRESSIONS

if TYPE_CHECKING:
    from impasto.job import Job
    from impasto.run import Run

F = TypeVar("F", bound=Callable[..., Any])


def output_options(function: F) -> F:
    """Give a command the options about its output, its device and what it says."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def saying_options(function: F) -> F:
    """Give a command the options about what it says."""
    for option in reversed(_SAYING):
        function = option(function)
    return function


def device_option(function: F) -> F:
    """Give a command the option `--device`."""
    return _DEVICE(function)


def means_options(function: F) -> F:
    """Give a command the options that say what it computes with."""
    for option in reversed(_MEANS):
        function = option(function)
    return function


def _memory(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    return None if value is None else sizes.parsed(value)


_DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda|cuda:N|mps",
    help="Where to compute; several with commas between them share the tiles of a large picture.",
)
_SAYING = (
    click.option("--dry-run", is_flag=True, help="Print the plan and stop."),
    click.option("--json", "as_json", is_flag=True, help="Print one event a line on stdout, as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error."),
)
_MEANS = (
    _DEVICE,
    click.option(
        "--max-memory",
        callback=_memory,
        metavar="SIZE",
        help="Memory to make do with, such as 3GB: of the process, or of the GPU [default: what is free].",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of the network's features; auto is bfloat16 where a GPU has it.",
    ),
)
_OPTIONS = (
    click.option(
        "-o", "--output", metavar="OUT", help="Where the picture goes; its ending is the format, - is stdout."
    ),
    *_MEANS,
    click.option(
        "--bits", type=click.Choice(["8", "16"]), default="8", show_default=True, help="Depth of PNG and TIFF."
    ),
    click.option("--quality", type=click.IntRange(1, 100), help="Quality of JPEG, WebP and AVIF."),
    click.option("--compression", type=click.Choice(COMPRESSIONS), help="Of TIFF [default: deflate]."),
    click.option(
        "--profile",
        metavar="FILE.icc",
        help="Convert the colours into this ICC profile and embed it: RGB, or CMYK for TIFF and JPEG [default: sRGB].",
    ),
    click.option(
        "--proof",
        metavar="FILE.icc",
        help="Also write OUT.proof.png: how the picture would look printed with this profile.",
    ),
    click.option("--save-every", type=click.IntRange(1), metavar="N", help="Also save a picture every N steps."),
    click.option("--preview", metavar="FILE", help="A picture that is replaced as the run goes."),
    click.option(
        "--no-metadata",
        "metadata",
        flag_value=False,
        default=True,
        help="Leave out the recipe, the inputs' names and the photo's credits; see 'impasto show'.",
    ),
    click.option("--force", is_flag=True, help="Replace an existing output."),
    *_SAYING,
)


def checked_output(given: dict[str, Any], inputs: list[str], default: str) -> Output:
    """Return the output that was asked for, after making sure that it can be written.

    Args:
        given: the values of `output_options`.
        inputs: the paths of all pictures that are read; none of them may be written to.
        default: the name of the output where none was given.

    Raises:
        UsageError: standard input or output is asked for in a way that cannot work.
        OutputError: the output cannot be written.

    """
    output = asked_output(given, default)
    check_streams(inputs, output, as_json=given["as_json"])
    output.check(inputs, force=given["force"])
    return output


def asked_output(given: dict[str, Any], default: str) -> Output:
    """Return the output that was asked for, not checked; `default` is its name where none was given."""
    return Output(
        given["output"] or default,
        int(given["bits"]),
        given["quality"],
        given["preview"],
        given["save_every"],
        given["metadata"],
        given["compression"],
        given["profile"],
        given["proof"],
    )


def quiet_threads() -> None:
    """Let waiting threads sleep; before torch is imported."""
    # Unless told otherwise before: beside another busy program a run takes its share of the time (two at once: 31 s
    # each instead of 153 s) for 4 % when alone. Ours, measured at 256 px.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def finish(job: "Job", output: Output, given: dict[str, Any]) -> None:
    """Do what is asked for with a job, on the device and with the memory asked for: paint it, or say what would be."""
    run = dataclasses.replace(job, **{name: given[name] for name in ("device", "max_memory", "precision")}).start()
    if given["dry_run"]:
        click.echo(plan(run, output))
        return
    say = Notes(quiet=given["quiet"])
    say.about(run.notes)
    say.about(keeping.begin(run, output, given))
    say.hints(run.foreseen)
    listener = progress.listener(quiet=given["quiet"], as_json=given["as_json"], terminal=sys.stderr.isatty())
    paint(run, output, listener, say)


def paint(run: "Run", output: Output, listener: progress.Listener, say: "Notes") -> None:
    """Run to the end, or to the first Ctrl-C, SIGTERM, SIGUSR1 or fault, and write the picture."""
    stages = Stages(output, run.taken)
    stopped: Interrupted | ImpastoError | None = None
    advice: tuple[Advice, ...] = ()
    stop = Stop(run)
    kept = False
    with signals(stop.answer, stop.NUMBERS):
        try:
            with listener:
                for event in run:
                    listener.show(event)
                    if isinstance(event, Stepped):
                        stages.show(run.picture)
                    elif isinstance(event, Finished):
                        # What was foreseen has been said.
                        advice = tuple(one for one in event.advice if one not in run.foreseen)
                    stop.check()
        except (Interrupted, ImpastoError) as error:
            stopped = error
        # Asked twice, it stops at once; the checkpoint before is as good.
        with suppress(Interrupted):
            kept = isinstance(stopped, Interrupted) and run.resumable and keeping.save(run)
    if run.begun:
        picture = run.picture()
        # What was painted is written, however often Ctrl-C is pressed now.
        with signals(signal.SIG_IGN, stop.NUMBERS):
            try:
                say.about(output.write(picture))
            except PictureError:
                _go_on(run)
                raise
        result = f"{picture.width}x{picture.height}, to {where(output)}"
        if stopped is None:
            say.line(f"saved {result}")
            say.hints(advice)
        else:
            cause = f"{stopped}: " if isinstance(stopped, Interrupted) else ""
            click.echo(f"impasto: {cause}saved what there is, {result}", err=True)
            _go_on(run)
    keeping.end(run, safe=stopped is None)
    if isinstance(stopped, ImpastoError):
        raise stopped
    if isinstance(stopped, Interrupted):
        if not run.begun:
            click.echo(f"impasto: {stopped} before the first step; nothing was written", err=True)
        # A scheduler that asked for a checkpoint and got it has nothing to complain of.
        sys.exit(0 if kept and stopped.number == signal.SIGUSR1 else stopped.exit_code)


def _go_on(run: "Run") -> None:
    line = keeping.how_to_go_on(run)
    if line is not None:
        click.echo(line, err=True)


def where(output: Output) -> str:
    """Return in words where the picture goes."""
    return "standard output" if output.path == STREAM else shown(output.path)


def plan(run: "Run", output: Output) -> str:
    """Return what would be done, a line for each fact."""
    memory, seconds = run.expected_memory, run.expected_seconds
    largest = run.plans[-1]
    return "\n".join(
        [
            f"recipe  {run.recipe.name}, digest {run.recipe.digest[:12]}",
            f"scales  {progress.sizes(run.scales)}",
            f"device  {run.device}",
            f"memory  about {memory / 1e9:.1f} GB" if memory else "memory  not known for this device",
            f"time    about {progress.duration(seconds)}" if seconds else "time    not known for this device",
            f"tiles   {progress.tiles(largest.tile)}",
            f"output  {where(output)}",
        ]
    )


def default_output(inputs: list[str]) -> str:
    """Return `photo_painting.png` for `some/photo.jpg other/painting.jpg`."""
    return "_".join("stdin" if path == STREAM else Path(path).stem for path in inputs) + ".png"


def check_streams(inputs: list[str], output: Output, *, as_json: bool = False) -> None:
    """Refuse a use of standard input or output that cannot work."""
    if output.path == STREAM and sys.stdout.isatty():
        raise UsageError("a picture would garble the terminal; redirect standard output, or give -o FILE")
    if inputs.count(STREAM) > 1:
        raise UsageError("standard input holds one picture; give - once")
    if output.path == STREAM and as_json:
        raise UsageError("--json and -o - both write to standard output; leave one out")
    if output.path == STREAM and output.proof:
        raise UsageError("--proof needs an output file to name the proof after; give -o FILE")
    if output.path == STREAM and output.compression:
        raise UsageError("standard output gets a PNG, which has no choice of compression; give -o FILE.tif")
    if output.path == STREAM and output.save_every:
        raise UsageError("--save-every needs an output file to name its pictures after; give -o FILE")


def source(path: str) -> PictureSource:
    """Return what `path` names: standard input or a file."""
    return opened(path)


def opened(path: str) -> str | BinaryIO:
    """Return what `path` names, as what reads files takes it."""
    return sys.stdin.buffer if path == STREAM else path


class Notes:
    """Says things to the person on standard error, unless told to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def line(self, text: str) -> None:
        """Say one thing."""
        if not self._quiet:
            click.echo(text, err=True)

    def about(self, notes: Iterable[str]) -> None:
        """Say what a person should know."""
        for note in notes:
            self.line(f"note: {note}")

    def hints(self, advice: Iterable[Advice]) -> None:
        """Say what helps."""
        for one in advice:
            self.line(f"hint: {one}")
