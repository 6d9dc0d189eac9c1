"""The events of a run: plain numbers and words only. The picture is asked of the run."""

import dataclasses
import re
from dataclasses import dataclass

from impasto.recipe.schedule import Scale
from impasto.reports.advice import Advice
from impasto.system.tables import Table


@dataclass(frozen=True)
class Started:
    """The run is about to begin."""

    scales: tuple[Scale, ...]
    device: str
    recipe: str  # digest
    advice: tuple[Advice, ...] = ()  # on the input pictures
    costs: tuple[float, ...] = ()  # pixels computed in a step of each scale; with tiles more than it has


@dataclass(frozen=True)
class ScaleStarted:
    """A scale is about to begin."""

    scale: int  # 0 is the coarsest
    height: int
    width: int
    steps: int


@dataclass(frozen=True)
class Adapted:
    """Memory ran out, and the scale continues from the present image with a smaller plan."""

    scale: int
    tile: int | None  # longest side of the tiles in pixels; None for the whole image at once
    history: int  # pairs that L-BFGS keeps


@dataclass(frozen=True)
class Stepped:
    """A step was taken; `loss` is that of the run's present image, with its margin."""

    scale: int
    step: int  # 1 is the first of the scale
    steps: int  # in this scale
    loss: float
    terms: dict[str, float]  # weighted, by the term's label; they sum to `loss`
    seconds: float  # since the run began


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint was written, from which the run can be resumed after `step` steps of `scale`."""

    scale: int
    step: int
    folder: str
    seconds: float  # that writing took


@dataclass(frozen=True)
class CheckpointFailed:
    """A checkpoint could not be written; the run continues, and the last one stays valid. Reported once per run."""

    folder: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """The run has ended; `loss` is that of its result, with its margin if the recipe has one.

    Saving at 8 bits changes it by about a ten-thousandth (measured).
    """

    loss: float
    terms: dict[str, float]
    steps: int
    seconds: float
    advice: tuple[Advice, ...] = ()  # gravest first; empty if all is well


Event = Started | ScaleStarted | Adapted | Stepped | Checkpointed | CheckpointFailed | Finished


def name(event: object) -> str:
    """Return `scale_started` for `ScaleStarted`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def table(event: Event) -> Table:
    """Return an event as plain values, with its name under `event`."""
    fields = {"event": name(event), **dataclasses.asdict(event)}
    if isinstance(event, Started):
        fields["scales"] = [scale._asdict() for scale in event.scales]
    return fields
