"""A part of the proof: what it is given, what it found, and how it ended."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from benchmarks.records import Row

Status = Literal["passed", "failed", "skipped"]


class SkippedError(Exception):
    """A part cannot be done here, for the reason given."""


@dataclass(frozen=True)
class Given:
    """What a part works with.

    Attributes:
        devices: their names; the first one does what needs only one.
        quick: whether sizes and counts are the smallest that still show something.

    """

    devices: tuple[str, ...]
    quick: bool = False

    @property
    def device(self) -> str:
        """The first device."""
        return self.devices[0]

    @property
    def has_cuda(self) -> bool:
        """Whether the devices are CUDA's; if not, the CPU or another device stands in."""
        return self.device.startswith("cuda")

    def need_cuda(self) -> None:
        """Skip this part where the devices are not CUDA's.

        Raises:
            SkippedError: they are not.

        """
        if not self.has_cuda:
            raise SkippedError("no CUDA")


@dataclass
class Found:
    """What a part has seen.

    Attributes:
        rows: the measurements, all of a part with the same keys.
        findings: what is wrong, a sentence each; without any, the part has passed.
        summary: the part in one line.

    """

    rows: list[Row] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    summary: str = ""


@dataclass(frozen=True)
class Part:
    """A part of the proof.

    Attributes:
        name: as `--only` takes it.
        title: what it shows.
        work: does it; raises `SkippedError` where it cannot be done.
        seconds: after which it is given up.

    """

    name: str
    title: str
    work: Callable[[Given], Found]
    seconds: float


@dataclass(frozen=True)
class Result:
    """How a part ended."""

    part: str
    status: Status
    seconds: float
    summary: str
    findings: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    @classmethod
    def of(cls, part: str, found: Found, seconds: float) -> Self:
        """Return the result of a part that came to its end."""
        status: Status = "failed" if found.findings else "passed"
        return cls(part, status, seconds, found.summary, tuple(found.findings), tuple(found.rows))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` was called on."""
        values: dict[str, Any] = json.loads(text)
        return cls(**values | {"findings": tuple(values["findings"]), "rows": tuple(values["rows"])})

    def to_json(self) -> str:
        """Return the result as one line."""
        return json.dumps(dataclasses.asdict(self))
