"""Checkpoints on the command line: where they are kept, and what is printed about them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from impasto.cli.values import Command, Options
from impasto.errors import CheckpointError, OutputError
from impasto.jobs import checkpoint_paths
from impasto.jobs.output import STREAM, Output
from impasto.reports.events import Checkpointed
from impasto.system.text import command_line, printable

if TYPE_CHECKING:
    from impasto.engine.run import Run


def checkpoint_option(function: Command) -> Command:
    """Give a command the option `--checkpoint`."""
    return click.option(
        "--checkpoint",
        default="auto",
        show_default=True,
        metavar="DIR|auto|off",
        help="Where to keep what 'impasto resume' needs; auto is OUT.impasto, for runs over a minute, till they end.",
    )(function)


def enable(run: "Run", output: Output, options: Options) -> tuple[str, ...]:
    """Enable the checkpoints that were asked for; return notes for the person.

    Args:
        run: not yet begun.
        output: beside which the folder is made where none was named.
        options: of the command.

    Raises:
        ImpastoError: they were asked for but cannot be written; or the folder holds those of an unfinished run.

    """
    from impasto.engine.checkpoints import Checkpoints

    choice = options["checkpoint"]
    automatic = choice == "auto"
    if choice == "off" or (
        automatic and (output.path == STREAM or not checkpoint_paths.is_worth_it(run, checkpoint_paths.LONG))
    ):
        return ()
    path = checkpoint_paths.default_folder(output) if automatic else choice
    settings = Checkpoints(path, keep=not automatic, replace=options["force"])
    try:
        folder = settings.open()
    except (CheckpointError, OutputError) as error:
        # A folder in use, or a file in its place, is worth an error. Otherwise painting matters more than checkpoints.
        if not automatic or Path(settings.folder).exists():
            raise
        return (f"{error}; without them, this run cannot be resumed",)
    run.enable_checkpoints(
        folder, {"output": checkpoint_paths.to_table(output, folder.path)}, every=settings.every, keep=settings.keep
    )
    return ()


def save(run: "Run") -> bool:
    """Write a checkpoint of a stopped run, and print a line if that fails; return whether it was written."""
    event = run.checkpoint()
    if isinstance(event, Checkpointed):
        return True
    click.echo(f"impasto: {printable(event.folder)}: a checkpoint could not be written ({event.reason})", err=True)
    return False


def resume_hint(run: "Run", output: Output) -> str | None:
    """Return the line that says how to resume a stopped run; None if it cannot be resumed.

    Args:
        run: that was stopped.
        output: where its picture went.

    """
    if run.checkpoint_writer is None or not run.checkpoint_writer.written:
        return None
    folder = run.checkpoint_writer.folder.path
    force = [] if checkpoint_paths.find_unexpected(output, run, folder) is None else ["--force"]
    return f"impasto: go on with: {command_line(['impasto', 'resume', printable(folder), *force])}"


def release(run: "Run", *, safe: bool) -> None:
    """Release the folder of a run; remove it if the picture is safe and its checkpoints were not asked for."""
    writer = run.checkpoint_writer
    if writer is not None:
        (writer.folder.remove if safe and not writer.keep else writer.folder.close)()
