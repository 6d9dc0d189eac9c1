"""How a task ended, as plain data."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from impasto.reports.advice import Advice
from impasto.system.tables import ReadOnlyTable, Table

Status = Literal["painted", "there", "failed", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        status: `painted`; `there` already, by a worker that died afterwards; `failed`; or `stopped` on request.
        reason: why it failed, in one line.
        seconds: from beginning to end.
        steps: taken by this run.
        before: steps taken by an interrupted run before it.
        size: height and width of the picture, px.
        loss: of the picture.
        sha256: of the file.
        notes: what a person should know.
        advice: on the picture.
        kept: whether a stopped task has a checkpoint.
        mark: the entity tag of the file in a store; see `storage.etags`.

    """

    status: Status
    reason: str = ""
    seconds: float = 0.0
    steps: int = 0
    before: int = 0
    size: tuple[int, int] | None = None
    loss: float | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    kept: bool = False
    mark: str = ""

    def to_table(self) -> Table:
        """Return it as plain values, as JSON holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_table(cls, table: ReadOnlyTable) -> "Outcome":
        """Make an outcome of what `to_table` returned."""
        values = dict(table)
        values["notes"] = tuple(values["notes"])
        values["advice"] = tuple(Advice(**item) for item in values["advice"])
        values["size"] = values["size"] and tuple(values["size"])
        return cls(**values)
