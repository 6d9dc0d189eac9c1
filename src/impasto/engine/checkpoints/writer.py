"""When checkpoints are written: seldom enough to cost nothing, often enough to lose little."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from impasto.engine.checkpoints.folder import Folder
from impasto.engine.checkpoints.snapshot import Snapshot
from impasto.errors import UsageError
from impasto.reports.events import Checkpointed, CheckpointFailed
from impasto.system.text import printable, reason

# Ours: half a minute of work is no great loss.
INTERVAL: Final = 30.0
# Ours: no more than a fiftieth, 2 %, of a run goes into its checkpoints.
_SHARE: Final = 50


@dataclass(frozen=True)
class Checkpoints:
    """Where a run keeps its checkpoints, and how often it writes one.

    Attributes:
        folder: is made if it is not there; the folder that it is in must be.
        every: seconds from one to the next; it takes longer where writing one takes more than a fiftieth of that.
        keep: whether they are kept when the run is over, so that it can be given more steps.
        replace: whether a checkpoint of another run that is there already may be replaced.

    """

    folder: str | os.PathLike[str]
    every: float = INTERVAL
    keep: bool = True
    replace: bool = False

    def __post_init__(self) -> None:
        if not self.every >= 0:
            raise UsageError(f"checkpoints every {self.every} seconds; give a number of at least 0")

    def open(self) -> Folder:
        """Return the folder, locked.

        Raises:
            OutputError: it cannot be written to.
            CheckpointError: another process is using it, or it holds a checkpoint that may not be replaced.

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
    """Writes the checkpoints of one run.

    Args:
        folder: where to, locked.
        table: what does not change on the way.
        every: see `Checkpoints`.
        keep: see `Checkpoints`.

    Attributes:
        folder: where to.
        keep: see `Checkpoints`.
        written: whether the folder holds a checkpoint of this run.
        failures: how often one could not be written.

    """

    def __init__(self, folder: Folder, table: Mapping[str, Any], *, every: float, keep: bool) -> None:
        self.folder = folder
        self.keep = keep
        self.written = False
        self.failures = 0
        self._table = table
        self._every = every
        self._cost = 0.0
        self._last = time.monotonic()
        self._last_event: Checkpointed | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= max(self._every, _SHARE * self._cost)

    def write(self, snapshot: Snapshot) -> Checkpointed | CheckpointFailed:
        """Write one, unless the last one says the same; where it cannot be written, the one before is untouched."""
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
