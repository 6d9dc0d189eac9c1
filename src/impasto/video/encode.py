"""Writing the painted frames as a film, with the clip's times and its sound."""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from impasto.errors import FilmError
from impasto.system.atomic import writing
from impasto.system.text import printable, reason
from impasto.video import sound
from impasto.video.clip import Clip
from impasto.video.frames import FrameStore, Pixels
from impasto.video.settings import OUTPUTS


@dataclass(frozen=True)
class WrittenFilm:
    """A film that was written.

    Attributes:
        codec: of the video, by FFmpeg's name.
        sound: the codecs of the audio streams.

    """

    codec: str
    sound: tuple[str, ...]


def write(path: str | os.PathLike[str], clip: Clip, store: FrameStore, frames: int, quality: int) -> WrittenFilm:
    """Write the first `frames` of a store as a film, whole or not at all, replacing an existing file.

    Args:
        path: with one of the endings in `OUTPUTS`.
        clip: gives each frame its time, and the sound up to the last frame; `sound.plan` says what becomes of that.
        store: the frames.
        frames: number of frames to write, at least 1.
        quality: 1 to 100.

    Raises:
        FilmError: it cannot be written; an existing file is unchanged.

    """
    ending = Path(path).suffix.lower()
    plans = sound.plan(clip, ending)
    try:
        with (
            writing(path) as file,
            clip.open_container() as (source, video),
            av.open(file, "w", format=OUTPUTS[ending]) as film,
        ):
            pictures = _Pictures(film, clip, video.time_base, store, frames, quality)
            sounds = {source.streams[plan.index]: plan.way for plan in plans if plan.way is not None}
            return _write_both(pictures, {stream: way(film, stream) for stream, way in sounds.items()}, clip, source)
    except (av.FFmpegError, OSError, ValueError) as error:
        what = "free some space" if isinstance(error, OSError) else "report it if it happens again"
        raise FilmError(
            f"{printable(os.fspath(path))}: could not be written ({reason(error)}); {what}, and give the same command "
            "again: the painted frames are kept, and what was there before is untouched"
        ) from error


class _Pictures:
    """The painted frames on their way into the film, each shown as long as its frame of the clip."""

    def __init__(
        self,
        film: OutputContainer,
        clip: Clip,
        clock: Fraction | None,
        store: FrameStore,
        frames: int,
        quality: int,
    ) -> None:
        self._film = film
        self._clip = clip
        self._store = store
        self._left = frames
        self._shots = clip.shots()
        self._next = next(self._shots, None)
        self.stream = _add_video_stream(film, clip, clock or 1 / clip.rate, _painted_frame(store, 0), quality)

    @property
    def end(self) -> Fraction | None:
        """When the frame after the last that is written would be shown; None before, and if there is no such frame."""
        return None if self._left or self._next is None else self._next.time

    def write(self, until: Fraction | None = None) -> None:
        """Write the frames that are shown until then, in seconds; all if it is None."""
        while self._left and self._next is not None and (until is None or self._next.time <= until):
            shot, self._next = self._next, next(self._shots, None)
            self._left -= 1
            frame = _frame(_painted_frame(self._store, shot.index))
            clock = frame.time_base = self.stream.codec_context.time_base
            frame.pts = round(shot.time / clock)
            end = self._clip.end if self._next is None else self._next.time
            frame.duration = max(1, round(end / clock) - frame.pts)
            self._film.mux(self.stream.encode(frame))

    def finish(self) -> None:
        """Write what is left."""
        self.write()
        self._film.mux(self.stream.encode(None))


def _write_both(
    pictures: _Pictures, sounds: dict[Stream, sound.Sound], clip: Clip, source: InputContainer
) -> WrittenFilm:
    """Write pictures and sounds in the order of their times, as players read them."""
    for packet in clip.packets(source, *sounds) if sounds else ():
        # The last packet of a stream is empty.
        if packet.pts is None or packet.time_base is None:
            continue
        time = packet.pts * packet.time_base
        pictures.write(time)
        if pictures.end is None or time < pictures.end:
            sounds[packet.stream].write(packet)
    pictures.finish()
    for heard in sounds.values():
        heard.finish()
    codecs = tuple(heard.into.codec_context.name for heard in sounds.values())
    return WrittenFilm(pictures.stream.codec_context.name, codecs)


def _painted_frame(store: FrameStore, index: int) -> Pixels:
    pixels = store.frame(index)
    if pixels is None:
        raise FilmError(
            f"{printable(store.path)}: frame {index + 1} is missing or damaged; give the same command again"
        )
    return pixels


def _add_video_stream(film: OutputContainer, clip: Clip, clock: Fraction, first: Pixels, quality: int) -> VideoStream:
    codec = next(name for name in ENCODERS if name in av.codecs_available)
    # The encoder's levels, from the worst to the best.
    worst, best = ENCODERS[codec]
    level = round(worst + (best - worst) * quality / 100)
    if codec == "libx264":
        # By default x264 looks 40 frames ahead and holds them: 600 MB for a film in 4K.
        options = {"crf": str(level), "rc-lookahead": "10"}
        if not clip.is_steady:
            # MP4 has the times between frames in the order in which they are decoded, and a film that ends with
            # another than the last would lose how long that is shown.
            options["bf"] = "0"
    else:
        options = {"qmin": str(level), "qmax": str(level)}
    stream = cast(VideoStream, film.add_stream(codec, rate=clip.rate, options=options))
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    # MPEG-4 allows at most 65,535 ticks per second.
    context.time_base = clock if codec == "libx264" else clock.limit_denominator(65535)
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    # Else the encoder forgets how long the last frame is shown.
    context.flags |= Flags.frame_duration
    # One thread, so that the same frames give the same bytes on every computer.
    context.thread_count = 1
    return stream


def _frame(pixels: Pixels) -> VideoFrame:
    frame = VideoFrame.from_ndarray(pixels, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)


# The encoders in order of preference, with their worst and best level.
ENCODERS: Final = {"libx264": (51, 0), "mpeg4": (31, 1)}
# ITU-T H.273: the code of BT.709, and of limited range (16 to 235), which players assume for such video.
_BT709: Final = 1
_LIMITED: Final = 1
