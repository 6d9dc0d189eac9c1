"""How a task ended, as plain data."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from impasto.reports.advice import Advice

Status = Literal["painted", "there", "failed", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        status: `painted`; `there` already, by a worker that died after it; `failed`; or `stopped` on request.
        reason: why it failed, in one line.
        seconds: from its beginning to its end.
        steps: that were taken now.
        before: steps that were taken before, by a run that was interrupted.
        size: height and width of the picture, px.
        loss: of the picture.
        sha256: of the file.
        notes: what a person should know.
        advice: what helps, in words.
        kept: of a stopped one, whether there is a checkpoint to go on from.
        mark: of the file in a store, see `remote.marks`.

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

    def to_table(self) -> dict[str, Any]:
        """Return it as plain values, as JSON holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Outcome":
        """Make an outcome of what `to_table` returned."""
        values = dict(table)
        values["notes"] = tuple(values["notes"])
        values["advice"] = tuple(Advice(**item) for item in values["advice"])
        values["size"] = values["size"] and tuple(values["size"])
        return cls(**values)
