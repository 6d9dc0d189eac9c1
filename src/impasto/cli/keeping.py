"""Checkpoints on the command line: where they are kept, how an output is noted in them, what is said about them."""

import dataclasses
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from impasto.errors import CheckpointError, OutputError
from impasto.events import Checkpointed
from impasto.messages import shown

if TYPE_CHECKING:
    from impasto.cli.painting import Output
    from impasto.run import Run

F = TypeVar("F", bound=Callable[..., Any])

# Ours: what is lost of a shorter run is painted again soon.
LONG: Final = 60.0  # seconds


def checkpoint_option(function: F) -> F:
    """Give a command the option `--checkpoint`."""
    return click.option(
        "--checkpoint",
        default="auto",
        show_default=True,
        metavar="DIR|auto|off",
        help="Where to keep what 'impasto resume' needs; auto is OUT.impasto, for runs over a minute, till they end.",
    )(function)


def begin(run: "Run", output: "Output", given: Mapping[str, Any]) -> tuple[str, ...]:
    """Have a run keep checkpoints as it was asked for; return what a person should know about it.

    Raises:
        ImpastoError: they were asked for and cannot be kept; or there are those of a run that was not finished.

    """
    from impasto.checkpoints import Checkpoints

    asked = given["checkpoint"]
    automatic = asked == "auto"
    if asked == "off" or (automatic and (output.path == _STREAM or not _long(run))):
        return ()
    settings = Checkpoints(f"{output.path}.impasto" if automatic else asked, keep=not automatic, replace=given["force"])
    try:
        folder = settings.open()
    except (CheckpointError, OutputError) as error:
        # In use, or a file: that is worth a word now. Else the picture is worth more than its checkpoints.
        if not automatic or Path(settings.folder).exists():
            raise
        return (f"{error}; without them, this run cannot be resumed",)
    run.keep(folder, {"output": noted(output, folder.path)}, every=settings.every, keep=settings.keep)
    return ()


def _long(run: "Run") -> bool:
    seconds = run.expected_seconds
    # Where the time is not known, the first checkpoint is written after half a minute.
    return seconds is None or seconds > LONG


_STREAM: Final = "-"
_PATHS: Final = ("path", "preview", "profile", "proof")


def noted(output: "Output", folder: Path) -> dict[str, Any]:
    """Return an output as plain values, its paths such that they are found from anywhere."""
    from impasto.checkpoints.document import both_paths

    table = dataclasses.asdict(output)
    for name in _PATHS:
        if table[name] is not None and table[name] != _STREAM:
            table[name] = both_paths(table[name], folder)
    return table


def output_of(table: Mapping[str, Any], folder: Path) -> "Output":
    """Return the output that `noted` made a table of.

    Raises:
        CheckpointError: the run was not started on the command line, or the table is not of `noted`.

    """
    if "output" not in table:
        raise CheckpointError(f"{shown(folder)}: was not started on the command line; resume it with impasto.resume")
    from impasto.checkpoints.document import found_path
    from impasto.cli.painting import Output

    try:
        values = dict(table["output"])
        for name in _PATHS:
            if isinstance(values[name], Mapping):
                paths = found_path(values[name], folder)
                there = next((path for path in paths if path.parent.is_dir()), paths[0])
                values[name] = _short(there)
        return Output(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{shown(folder)}: holds an output that no impasto notes") from error


def _short(path: Path) -> str:
    """Return a path from the working directory if it is in there."""
    here = Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)


def save(run: "Run") -> bool:
    """Write a checkpoint where a run has stopped; say if that cannot be done."""
    said = run.checkpoint()
    if isinstance(said, Checkpointed):
        return True
    click.echo(f"impasto: {shown(said.folder)}: a checkpoint could not be written ({said.reason})", err=True)
    return False


def how_to_go_on(run: "Run") -> str | None:
    """Return the line by which a stopped run is resumed; None if it cannot be."""
    if run.keeper is None or not run.keeper.written:
        return None
    return f"impasto: go on with: impasto resume {shlex.quote(shown(run.keeper.folder.path))}"


def end(run: "Run", *, safe: bool) -> None:
    """Let go of a run's folder; where the picture is safe, and nothing else was asked for, remove it."""
    if run.keeper is not None:
        (run.keeper.folder.remove if safe and not run.keeper.keep else run.keeper.folder.close)()
