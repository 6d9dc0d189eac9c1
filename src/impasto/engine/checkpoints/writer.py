"""When checkpoints are written: rarely enough to cost nothing, often enough to lose little."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from impasto.engine.checkpoints.folder import Folder
from impasto.engine.checkpoints.snapshot import Snapshot
from impasto.errors import UsageError
from impasto.reports.events import Checkpointed, CheckpointFailed
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import printable, reason

# Ours: losing half a minute of work is bearable.
INTERVAL: Final = 30.0
# Ours: at most one part in fifty, 2 %, of the time goes into checkpoints.
_SHARE: Final = 50


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run writes checkpoints.

    Attributes:
        folder: made if it does not exist; its parent must exist.
        every: seconds between two checkpoints; more where writing one takes more than a fiftieth of that.
        keep: whether they stay when the run is over, so that it can be given more steps.
        replace: whether checkpoints of another run in the folder may be replaced.

    """

    folder: str | os.PathLike[str]
    every: float = INTERVAL
    keep: bool = True
    replace: bool = False

    def __post_init__(self) -> None:
        if not self.every >= 0:
            raise UsageError(f"checkpoints every {self.every} seconds; give a number of at least 0")

    def open(self) -> Folder:
        """Return the folder, locked by this process.

        Raises:
            OutputError: it cannot be written to.
            CheckpointError: another process has locked it.
            UsageError: it holds checkpoints of another run, which may not be replaced.

        """
        folder = Folder(self.folder, create=True)
        if not folder.empty and not self.replace:
            folder.close()
            raise UsageError(
                f"{printable(self.folder)}: holds the checkpoint of a run; go on with 'impasto resume', "
                f"or begin anew with "
                "--force"
            )
        return folder


class CheckpointWriter:
    """Writes the checkpoints of a run.

    Args:
        folder: locked by this process.
        table: the part of the document that stays the same during the run.
        every: see `Checkpoints`.
        keep: see `Checkpoints`.

    Attributes:
        folder: of the checkpoints.
        keep: see `Checkpoints`.
        written: whether the folder holds a checkpoint of this run.
        failures: how often writing failed.

    """

    def __init__(self, folder: Folder, table: ReadOnlyTable, *, every: float, keep: bool) -> None:
        self.folder = folder
        self.keep = keep
        self.written = False
        self.failures = 0
        self._table = table
        self._every = every
        self._cost = 0.0
        self._last = time.monotonic()
        self._last_event: Checkpointed | None = None

    def write_if_due(
        self, take_snapshot: Callable[[], Snapshot], *, is_last: bool
    ) -> Iterator[Checkpointed | CheckpointFailed]:
        """Write a checkpoint if it is time, or after the last step if checkpoints are kept, and yield what came of it.

        Of several failures only the first is reported: a full disk would be reported again and again.

        Args:
            take_snapshot: returns the present state of the run; only called if a checkpoint is written.
            is_last: whether the run has taken its last step.

        """
        if time.monotonic() - self._last >= max(self._every, _SHARE * self._cost) or (is_last and self.keep):
            event = self.write(take_snapshot())
            if isinstance(event, Checkpointed) or self.failures == 1:
                yield event

    def write(self, snapshot: Snapshot) -> Checkpointed | CheckpointFailed:
        """Write a checkpoint, unless the last one is of the same step; if that fails, the last one stays valid."""
        name, last = str(self.folder.path), self._last_event
        if last is not None and (last.scale, last.step) == (snapshot.scale, snapshot.done):
            return last
        started = time.monotonic()
        try:
            self.folder.write(snapshot, self._table)
        except OSError as error:
            self.failures += 1
            return CheckpointFailed(name, reason(error))
        finally:
            self._last = time.monotonic()
            self._cost = self._last - started
        self.written = True
        self._last_event = Checkpointed(snapshot.scale, snapshot.done, name, self._cost)
        return self._last_event
