"""What is shown of a film: each frame as it is finished, and the plan of a dry run."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.display import plans
from impasto.cli.display.many import ManyDisplay, Pace, describe_left
from impasto.cli.display.progress import describe_scales
from impasto.cli.values import Options
from impasto.reports import events
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.video.events import FilmEvent
    from impasto.video.render import VideoRun

# Ours: the first frame takes longer than all others, and two say too little of the rest.
_TOO_FEW = 2


def show_film(film_events: "Iterable[FilmEvent]", frames: int | None, options: Options) -> None:
    """Show the events of a film as they come.

    Args:
        film_events: the events.
        frames: about how many frames there are; None if the clip does not say.
        options: the command's.

    """
    from impasto.video.events import FramePainted

    total = "" if frames is None else f" of {frames}"
    pace = Pace(dict.fromkeys(range(1, (frames or 0) + 1), 1.0), _TOO_FEW)
    with ManyDisplay(pace, options, has_bar=True) as display:
        display.move_bar(f"frame 0{total}")
        for event in film_events:
            display.write_event({"event": events.name(event), **vars(event)})
            if isinstance(event, FramePainted):
                pace.finish(event.frame, most=0.0 if event.kept else 1.0)
                count = f"frame {event.frame}{total}"
                parts = count, f"at {event.time:.1f} s", describe_left(pace.seconds_left)
                display.write_progress(", ".join(part for part in parts if part))
                display.move_bar(count)


def describe_plan(film: "VideoRun", target: Path) -> str:
    """Return what would be done, a line for each fact."""
    from impasto.video import sound

    opening, following = film.opening_run, film.following_run
    needs = [run.expected_memory for run in (opening, following)]
    memory = max((need for need in needs if need), default=None)
    first, per_frame = opening.expected_seconds, following.expected_seconds
    seconds = None
    if film.frames is not None and first is not None and per_frame is not None:
        seconds = first + (film.frames - 1) * per_frame
    time = f"{plans.describe_time(seconds)}, more if there are several scenes" if seconds else "not known"
    steps = film.settings.frame_steps
    heard = ", ".join(plan.result for plan in sound.plan(film.clip, target.suffix)) or "none"
    return "\n".join(
        [
            f"frames  {film.frames or 'not known'} of {film.width}x{film.height}, {float(film.clip.rate):.4g} a second",
            f"sound   {heard}",
            f"scales  {describe_scales(opening.scales)}; then {steps} steps a frame at the last of them",
            f"device  {opening.device}",
            f"memory  {plans.describe_memory(memory)}",
            f"time    {time}",
            f"output  {printable(target)}",
        ]
    )
