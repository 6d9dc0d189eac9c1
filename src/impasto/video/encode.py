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
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from impasto.errors import FilmError
from impasto.system.atomic import writing
from impasto.system.text import printable, reason
from impasto.video.clip import Clip, Numbering
from impasto.video.frames import FrameStore, Pixels
from impasto.video.settings import OUTPUTS
from impasto.video.sound import add_tracks, plan_sound


@dataclass(frozen=True)
class WrittenFilm:
    """A film that was written.

    Attributes:
        codec: of the video, by FFmpeg's name.
        sound: the codecs of the audio streams.
        notes: what a person should know about it.

    """

    codec: str
    sound: tuple[str, ...]
    notes: tuple[str, ...]


def write(path: str | os.PathLike[str], clip: Clip, store: FrameStore, frames: int, quality: int) -> WrittenFilm:
    """Write the first `frames` of a store as a film, whole or not at all, replacing an existing file.

    Args:
        path: with one of the endings in `OUTPUTS`.
        clip: gives each frame its time, and the sound up to the last frame.
        store: the frames.
        frames: number of frames to write, at least 1.
        quality: 1 to 100.

    Raises:
        FilmError: it cannot be written; an existing file is unchanged.

    """
    end = next((shot.time for shot in clip.shots() if shot.index == frames), None)
    kind = OUTPUTS[Path(path).suffix.lower()]
    try:
        with writing(path) as file, clip.open_container() as (source, video), av.open(file, "w", format=kind) as film:
            return _copy_film(film, source, video, clip, store, quality, end)
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
    store: FrameStore,
    quality: int,
    end: Fraction | None,
) -> WrittenFilm:
    """Read the clip once, up to `end`, and write it with the painted frames in place of its own."""
    first = _painted_frame(store, 0)
    pictures = _add_video_stream(film, video, clip.rate, first, quality)
    tracks = add_tracks(film, source, plan_sound(clip, film.format.name))
    numbering = Numbering(clip)
    first_decoded: int | None = None
    lengths: dict[int, int] = {}  # of frames in ticks, by their time
    for packet in source.demux([video, *tracks]):
        if packet.stream is video:
            for shot in numbering.shots(packet, video):
                if end is None or shot.time < end:
                    frame = _frame(_painted_frame(store, shot.index))
                    frame.time_base = pictures.codec_context.time_base
                    frame.pts = round(shot.time / frame.time_base)
                    frame.duration = round((shot.frame.duration or 0) * (shot.frame.time_base or 0) / frame.time_base)
                    lengths[frame.pts] = frame.duration
                    packets = pictures.encode(frame)
                    first_decoded = packets[0].dts if packets and first_decoded is None else first_decoded
                    _mux(film, packets, lengths)
        else:
            tracks[cast(AudioStream, packet.stream)].add(packet, end)
    last = pictures.encode(None)
    if last and film.format.name in _BY_DECODING:
        # The time of decoding of the last packet, and not the last frame's own time, is what these end after.
        times = [packet.dts for packet in last if packet.dts is not None]
        end_time = max(time + length for time, length in lengths.items())
        first_time = min(times) if first_decoded is None else first_decoded
        lengths[last[-1].pts or 0] = end_time - min(lengths) - (max(times) - first_time)
    _mux(film, last, lengths)
    for track in tracks.values():
        track.end()
    return WrittenFilm(
        pictures.codec_context.name,
        tuple(track.codec for track in tracks.values()),
        () if end is not None else clip.missing(numbering.count),
    )


def _mux(film: OutputContainer, packets: "list[Packet[VideoStream]]", lengths: dict[int, int]) -> None:
    for packet in packets:
        # Encoders leave it out, and the last frame of all would be shown for no more than the average time.
        length = lengths.get(packet.pts or 0, 0)
        if length > 0:
            packet.duration = length
        film.mux(packet)


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


# Containers whose films last as long as their packets, in the order of decoding.
_BY_DECODING: Final = ("mp4", "mov")
# The encoders in order of preference, with their worst and best level.
ENCODERS: Final = {"libx264": (51, 0), "mpeg4": (31, 1)}
# ITU-T H.273: the code of BT.709, and of limited range (16 to 235), which players assume for such video.
_BT709: Final = 1
_LIMITED: Final = 1
