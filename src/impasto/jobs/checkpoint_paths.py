"""Where the checkpoints of a run go that paints into a file, and how that file is noted in them."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from impasto.errors import CheckpointError, PictureError
from impasto.jobs.output import STREAM, Output
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.engine.run import Run

# Ours: a shorter run is quickly repeated.
LONG: Final = 60.0  # seconds
ENDING: Final = ".impasto"
_PATHS: Final = ("path", "preview", "profile", "proof")


def is_worth_it(run: "Run", seconds: float = LONG) -> bool:
    """Whether a run is expected to take longer than that."""
    expected = run.expected_seconds
    # If the duration is unknown, the first checkpoint is written after half a minute.
    return expected is None or expected > seconds


def default_folder(output: Output) -> str:
    """Return the folder beside an output in which its checkpoints are kept, unless another is asked for."""
    return f"{output.path}{ENDING}"


def to_table(output: Output, folder: Path) -> Table:
    """Return an output as plain values, its paths such that they are found from anywhere."""
    from impasto.engine.checkpoints.document import portable_path

    table = dataclasses.asdict(output)
    for name in _PATHS:
        if table[name] is not None and table[name] != STREAM:
            table[name] = portable_path(table[name], folder)
    return table


def from_table(table: ReadOnlyTable, folder: Path) -> Output:
    """Return the output from what `to_table` returned.

    Raises:
        CheckpointError: the run was not started on the command line, or the table is not valid.

    """
    if "output" not in table:
        raise CheckpointError(
            f"{printable(folder)}: was not started on the command line; resume it with impasto.resume"
        )
    from impasto.engine.checkpoints.document import candidate_paths

    try:
        values = dict(table["output"])
        for name in _PATHS:
            if isinstance(values[name], Mapping):
                paths = candidate_paths(values[name], folder)
                existing = next((path for path in paths if path.parent.is_dir()), paths[0])
                values[name] = _short(existing)
        return Output(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{printable(folder)}: holds an output that no impasto notes") from error


def find_unexpected(output: Output, run: "Run", folder: Path) -> str | None:
    """Return what a person may not expect of a resumed run: a path that it writes to, and why not; None for nothing.

    The note of an output can be forged. So a file that is there must be painted from the pictures of this run, and a
    new one must be beside the folder of the checkpoint or in the working directory.

    Args:
        output: of the run.
        run: the resumed one.
        folder: of its checkpoint.

    """
    paths = [Path(output.path)] if output.path != STREAM else []
    paths += [output.proof_path] if output.proof is not None else []
    paths += [Path(output.preview)] if output.preview is not None else []
    at_home = {folder.resolve().parent, Path.cwd()}
    for path in (*paths, *output.stages()):
        if os.path.lexists(path):
            if path.is_symlink() or not _is_of(path, run):
                return f"{printable(path)}: exists already, and does not say that this run painted it"
        elif path.parent.resolve() not in at_home:
            return f"{printable(path)}: would be made in another folder than that of the checkpoint"
    return None


def _is_of(path: Path, run: "Run") -> bool:
    """Whether a picture remembers being painted from the pictures of a run."""
    from impasto.picture import remembered

    try:
        before = remembered(path)
    except PictureError:
        return False
    now = run.scene.remembered(1, 1, finished=False)
    return (before.content, before.styles) == (now.content, now.styles)


def _short(path: Path) -> str:
    """Return a path from the working directory if it is in there."""
    working_folder = Path.cwd()
    return os.fspath(path.relative_to(working_folder) if path.is_relative_to(working_folder) else path)
