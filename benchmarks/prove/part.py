"""A part of the GPU test: its input, its findings and its result."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from benchmarks.records import Row

Status = Literal["passed", "failed", "skipped"]


class SkippedError(Exception):
    """A part cannot be run here, for the reason in the message."""


@dataclass(frozen=True)
class Given:
    """The input of a part.

    Attributes:
        devices: their names; the first one is used where one is enough.
        quick: whether to use the smallest sizes and counts that are of use.

    """

    devices: tuple[str, ...]
    quick: bool = False

    @property
    def device(self) -> str:
        """The first device."""
        return self.devices[0]

    @property
    def has_cuda(self) -> bool:
        """Whether the devices are CUDA GPUs."""
        return self.device.startswith("cuda")

    def need_cuda(self) -> None:
        """Skip this part if the devices are not CUDA GPUs.

        Raises:
            SkippedError: they are not.

        """
        if not self.has_cuda:
            raise SkippedError("no CUDA")


@dataclass
class Found:
    """What a part has measured.

    Attributes:
        rows: the measurements, all of a part with the same keys.
        findings: a sentence for each fault; if there are none, the part has passed.
        summary: the part in one line.

    """

    rows: list[Row] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    summary: str = ""


@dataclass(frozen=True)
class Part:
    """A part of the GPU test.

    Attributes:
        name: as `--only` takes it.
        title: what it shows.
        work: runs it; raises `SkippedError` if it cannot be run here.
        seconds: after which it is killed.

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
        """Return the result of a part that has ended."""
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
