"""How a film is gone through: what is shown, and what an interruption leaves."""

import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from impasto.cli import signals
from impasto.cli.display import notes as notes_display
from impasto.cli.display import progress as progress_display
from impasto.cli.values import Options
from impasto.errors import ImpastoError
from impasto.reports import events
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.video.events import FilmEvent
    from impasto.video.frames import FrameStore
    from impasto.video.render import VideoRun

INTERVAL = 10.0  # seconds between two lines, in logs and pipes


class VideoDisplay(contextlib.AbstractContextManager["VideoDisplay"]):
    """Shows how a film goes: a bar, plain lines, JSON lines, or nothing."""

    def __init__(self, frames: int | None, *, quiet: bool, as_json: bool, terminal: bool) -> None:
        self._frames = frames
        self._as_json = as_json
        self._lines = not (quiet or as_json or terminal)
        self._next = time.monotonic() + INTERVAL
        self._painted = 0
        self._begun = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if terminal and not (quiet or as_json):
            columns = (TextColumn("frame"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[left]}"), console=Console(stderr=True))
            self._task = self._bar.add_task("", total=frames, left="")

    def __enter__(self) -> "VideoDisplay":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, event: "FilmEvent") -> None:
        """Show one event."""
        from impasto.video.events import FramePainted

        if self._as_json:
            click.echo(json.dumps({"event": events.name(event), **vars(event)}))
        if not isinstance(event, FramePainted):
            return
        if event.kept:
            # What was there before says nothing about how long the rest takes.
            self._begun = time.monotonic()
        self._painted += not event.kept
        if self._bar is not None:
            self._bar.update(self._task, completed=event.frame, left=self._left(event.frame))
        elif self._lines and (event.frame == 1 or time.monotonic() >= self._next):
            total = "" if self._frames is None else f" of {self._frames}"
            click.echo(f"frame {event.frame}{total}, at {event.time:.1f} s{self._left(event.frame)}", err=True)
            self._next = time.monotonic() + INTERVAL

    def _left(self, frame: int) -> str:
        # The first takes longer than all others.
        if self._frames is None or self._painted < _ENOUGH or frame >= self._frames:
            return ""
        seconds_per_frame = (time.monotonic() - self._begun) / self._painted
        return f", about {progress_display.format_duration((self._frames - frame) * seconds_per_frame)} left"


def finish(film: "VideoRun", output: Path, target: Path, options: Options) -> None:
    """Paint the film, or what comes before the first Ctrl-C, SIGTERM or fault, and write it.

    Args:
        film: what is painted.
        output: beside which the frames are kept.
        target: where the film goes.
        options: the command's options.

    """
    from impasto.video.frames import FrameStore

    say = notes_display.Notes(quiet=options["quiet"])
    say.about(film.notes)
    folder = output.with_name(f"{output.name}.impasto")
    with FrameStore(folder, film.identity, force=options["force"]) as ledger:
        stopped = _paint(film, ledger, options)
        written = ""
        if film.painted:
            # What was painted is written, however often Ctrl-C is pressed now.
            with signals.signals(signal.SIG_IGN):
                written = _write(film, ledger, target, options["quality"], say)
        _report_end(film, ledger, written, stopped, say, keep=options["preview"] is not None)


def _paint(film: "VideoRun", ledger: "FrameStore", options: Options) -> signals.Interrupted | ImpastoError | None:
    """Paint what is not there yet, and return what it was stopped by."""
    teller = VideoDisplay(film.frames, quiet=options["quiet"], as_json=options["as_json"], terminal=sys.stderr.isatty())
    with signals.signals(signals.interrupt):
        try:
            with teller:
                for event in film.paint(ledger):
                    teller.show(event)
        except (signals.Interrupted, ImpastoError) as error:
            return error
    return None


def _write(film: "VideoRun", ledger: "FrameStore", target: Path, quality: int, say: notes_display.Notes) -> str:
    """Write what is painted, and return in words what that is."""
    from impasto.video import encode

    notes = encode.write(target, film.clip, ledger, film.painted, quality)
    say.about(notes.notes)
    sound = f", sound {', '.join(notes.sound)}" if notes.sound else ""
    return f"{film.painted} frames of {film.width}x{film.height}, {notes.codec}{sound}, to {printable(target)}"


def _report_end(
    film: "VideoRun",
    ledger: "FrameStore",
    written: str,
    stopped: signals.Interrupted | ImpastoError | None,
    say: notes_display.Notes,
    *,
    keep: bool,
) -> None:
    """Say what there is, and end as the command has to."""
    if stopped is None:
        say.line(f"saved {written}")
        say.line(
            f"shimmer {film.shimmer.of_painted:.2f} levels of 255 from frame to frame (warp error); "
            f"the clip's own {film.shimmer.of_filmed:.2f}"
        )
        if keep:
            say.line("the same command without --preview goes on from here")
        else:
            ledger.remove()
        return
    if not ledger.count:
        ledger.remove()
    interrupted = isinstance(stopped, signals.Interrupted)
    cause = f"{stopped}: " if interrupted else ""
    if written:
        click.echo(f"impasto: {cause}saved what there is, {written}", err=True)
        click.echo(f"the frames are in {printable(ledger.path)}; the same command with --force goes on", err=True)
    elif interrupted:
        click.echo(f"impasto: {stopped} before the first frame was finished; nothing was written", err=True)
    if isinstance(stopped, ImpastoError):
        raise stopped
    sys.exit(stopped.exit_code)


def describe_plan(film: "VideoRun", target: Path) -> str:
    """Return what would be done, a line for each fact."""
    opening, following = film.opening_run, film.following_run
    needs = [run.expected_memory for run in (opening, following)]
    memory = max((need for need in needs if need), default=None)
    first, per_frame = opening.expected_seconds, following.expected_seconds
    seconds = None
    if film.frames is not None and first is not None and per_frame is not None:
        seconds = first + (film.frames - 1) * per_frame
    steps = film.settings.frame_steps
    sound = ", ".join(film.clip.sound) or "none"
    return "\n".join(
        [
            f"frames  {film.frames or 'not known'} of {film.width}x{film.height}, {float(film.clip.rate):.4g} a second",
            f"sound   {sound}",
            f"scales  {progress_display.describe_scales(opening.scales)}; "
            f"then {steps} steps a frame at the last of them",
            f"device  {opening.device}",
            f"memory  about {memory / 1e9:.1f} GB" if memory else "memory  not known for this device",
            f"time    about {progress_display.format_duration(seconds)}, more if there are several scenes"
            if seconds
            else "time    not known",
            f"output  {printable(target)}",
        ]
    )


# Ours: the time of so many frames tells that of the others.
_ENOUGH = 3
