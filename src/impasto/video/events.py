"""The events of painting a film: plain numbers only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FilmStarted:
    """The film is about to begin."""

    frames: int | None  # approximately; None if the clip does not say
    height: int
    width: int
    device: str


@dataclass(frozen=True)
class FramePainted:
    """A frame has been painted and written to the disk."""

    frame: int  # 1 is the first
    time: float  # at which it is shown, in seconds
    opening: bool  # whether it begins a scene, and so was painted from the coarsest scale on
    kept: bool  # whether an earlier run painted it
    uncertain: float  # fraction of its pixels that no earlier frame shows reliably
    seconds: float  # since this run began


@dataclass(frozen=True)
class FilmFinished:
    """All frames are painted."""

    frames: int
    scenes: int
    shimmer: float  # root mean square warp error, in levels of 255; see `impasto.video.warp_error`
    own_shimmer: float  # the same of the clip itself
    seconds: float


FilmEvent = FilmStarted | FramePainted | FilmFinished
