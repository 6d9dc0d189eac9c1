"""What the painting of a film says on its way. Plain numbers only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FilmStarted:
    """The film is about to begin."""

    frames: int | None  # about; None if the clip does not say
    height: int
    width: int
    device: str


@dataclass(frozen=True)
class FramePainted:
    """A frame is painted and on the disk."""

    frame: int  # 1 is the first
    time: float  # when it is shown, in seconds
    opening: bool  # whether a scene begins with it, so that it was painted from the coarsest scale on
    kept: bool  # whether it was painted before
    uncertain: float  # share of its pixels that none of the frames before it shows for certain
    seconds: float  # since this went on


@dataclass(frozen=True)
class FilmFinished:
    """All frames are painted."""

    frames: int
    scenes: int
    shimmer: float  # root mean square warp error, in levels of 255; see `impasto.video.warp_error`
    own_shimmer: float  # the same of the clip itself
    seconds: float


FilmEvent = FilmStarted | FramePainted | FilmFinished
