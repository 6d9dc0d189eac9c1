"""What a run says on its way. Plain numbers and words only: the picture is asked of the run by whoever wants it."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from impasto.recipe.schedule import Scale
from impasto.reports.advice import Advice


@dataclass(frozen=True)
class Started:
    """The run is about to begin."""

    scales: tuple[Scale, ...]
    device: str
    recipe: str  # digest
    advice: tuple[Advice, ...] = ()  # what can be said of the pictures before they are painted
    costs: tuple[float, ...] = ()  # pixels that a step of each scale computes; more than it has, in tiles


@dataclass(frozen=True)
class ScaleStarted:
    """A scale is about to begin."""

    scale: int  # 0 is the coarsest
    height: int
    width: int
    steps: int


@dataclass(frozen=True)
class Adapted:
    """Memory ran out, and the scale goes on from where it is in a way that takes less."""

    scale: int
    tile: int | None  # longest side of the tiles in pixels; None for the whole at once
    history: int  # pairs that L-BFGS remembers


@dataclass(frozen=True)
class Stepped:
    """The objective was evaluated: `loss` is that of the picture the run holds now, with its margin."""

    scale: int
    step: int  # 1 is the first of the scale
    steps: int  # in this scale
    loss: float
    terms: dict[str, float]  # weighted, by the term's label; they sum to `loss`
    seconds: float  # since the run started


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint was written: from here, after `step` steps of `scale`, the run can be resumed."""

    scale: int
    step: int
    folder: str
    seconds: float  # that writing it took


@dataclass(frozen=True)
class CheckpointFailed:
    """A checkpoint could not be written; the run goes on, and the one before is untouched. Said once a run."""

    folder: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """The run is over; `loss` is that of its result, with its margin where the recipe has one.

    Saving at 8 bits changes it by about a ten-thousandth (measured).
    """

    loss: float
    terms: dict[str, float]
    steps: int
    seconds: float
    advice: tuple[Advice, ...] = ()  # on problems that were seen, the gravest first; none if all is well


Event = Started | ScaleStarted | Adapted | Stepped | Checkpointed | CheckpointFailed | Finished


def name(event: object) -> str:
    """Return `scale_started` for `ScaleStarted`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def table(event: Event) -> dict[str, Any]:
    """Return an event as plain values, its name under `event`."""
    fields = {"event": name(event), **dataclasses.asdict(event)}
    if isinstance(event, Started):
        fields["scales"] = [scale._asdict() for scale in event.scales]
    return fields
