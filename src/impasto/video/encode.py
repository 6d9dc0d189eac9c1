"""Writing the painted frames as a film, with the clip's times and its sound."""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from impasto.errors import FilmError
from impasto.system.atomic import writing
from impasto.system.text import printable, reason
from impasto.video import sound
from impasto.video.clip import Clip, Numbering
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
    end = next((shot.time for shot in clip.shots() if shot.index == frames), None)
    ending = Path(path).suffix.lower()
    plans = sound.plan(clip, ending)
    try:
        with (
            writing(path) as file,
            clip.open_container() as (source, video),
            av.open(file, "w", format=OUTPUTS[ending]) as film,
        ):
            return _copy_film(film, source, video, clip, plans, store, quality, end)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise FilmError(
            f"{printable(os.fspath(path))}: could not be written ({reason(error)}); "
            "free some space or choose another place; what was there before is untouched"
        ) from error


def _copy_film(
    film: OutputContainer,
    source: InputContainer,
    video: VideoStream,
    clip: Clip,
    plans: tuple[sound.SoundPlan, ...],
    store: FrameStore,
    quality: int,
    end: Fraction | None,
) -> WrittenFilm:
    """Read the clip once, up to `end`, and write it with the painted frames in place of its own."""
    pictures = _add_video_stream(film, video, clip.rate, _painted_frame(store, 0), quality)
    sounds: dict[Stream, sound.Sound] = {}
    for plan in plans:
        stream = source.streams[plan.index]
        if plan.way is not None:
            sounds[stream] = plan.way(film, cast(AudioStream, stream))
    numbering = Numbering(clip)
    for packet in source.demux([video, *sounds]):
        if packet.stream is video:
            for shot in numbering.shots(packet, video):
                if end is None or shot.time < end:
                    frame = _frame(_painted_frame(store, shot.index))
                    frame.time_base = pictures.codec_context.time_base
                    frame.pts = round(shot.time / frame.time_base)
                    frame.duration = round((shot.frame.duration or 0) * (shot.frame.time_base or 0) / frame.time_base)
                    film.mux(pictures.encode(frame))
        elif _is_before(packet, end):
            sounds[packet.stream].write(packet)
    film.mux(pictures.encode(None))
    for heard in sounds.values():
        heard.finish()
    return WrittenFilm(pictures.codec_context.name, tuple(heard.into.codec_context.name for heard in sounds.values()))


def _painted_frame(store: FrameStore, index: int) -> Pixels:
    pixels = store.frame(index)
    if pixels is None:
        raise FilmError(
            f"{printable(store.path)}: frame {index + 1} is missing or damaged; give the same command again"
        )
    return pixels


def _add_video_stream(
    film: OutputContainer, video: VideoStream, rate: Fraction, first: Pixels, quality: int
) -> VideoStream:
    codec = next(name for name in ENCODERS if name in av.codecs_available)
    # The encoder's levels, from the worst to the best.
    worst, best = ENCODERS[codec]
    level = round(worst + (best - worst) * quality / 100)
    if codec == "libx264":
        # By default x264 looks 40 frames ahead and holds them: 600 MB for a film in 4K.
        options = {"crf": str(level), "rc-lookahead": "10"}
    else:
        options = {"qmin": str(level), "qmax": str(level)}
    stream = cast(VideoStream, film.add_stream(codec, rate=rate, options=options))
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = "yuv420p"
    # MPEG-4 allows at most 65,535 ticks per second.
    clock = video.time_base or 1 / rate
    context = stream.codec_context
    context.time_base = clock if codec == "libx264" else clock.limit_denominator(65535)
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    # One thread, so that the same frames give the same bytes on every computer.
    context.thread_count = 1
    return stream


def _frame(pixels: Pixels) -> VideoFrame:
    frame = VideoFrame.from_ndarray(pixels, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)


def _is_before(packet: "Packet[Stream]", end: Fraction | None) -> bool:
    # The last packet of a stream is empty.
    if packet.pts is None or packet.time_base is None:
        return False
    return end is None or packet.pts * packet.time_base < end


# The encoders in order of preference, with their worst and best level.
ENCODERS: Final = {"libx264": (51, 0), "mpeg4": (31, 1)}
# ITU-T H.273: the code of BT.709, and of limited range (16 to 235), which players assume for such video.
_BT709: Final = 1
_LIMITED: Final = 1
