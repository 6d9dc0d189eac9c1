"""Reading a clip with PyAV: its frames, upright, with their times, and its sound.

FFmpeg knows hundreds of formats, some of which name other files and servers. Here the file's first bytes choose one of
four, no other file is opened, and only common codecs are decoded.
"""

import contextlib
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from impasto.errors import FilmError
from impasto.system.text import printable, reason
from impasto.video.colors import ColorConverter, is_hdr
from impasto.video.limits import DEFAULT_LIMITS, FilmLimits
from impasto.video.survey import Survey, is_cut_short, survey
from impasto.video.upright import display_matrix, is_on_its_side, turn

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One frame of a clip.

    Attributes:
        index: 0 is the first.
        time: at which it is shown, in seconds.
        frame: as decoded.
        clip: that it belongs to.

    """

    index: int
    time: Fraction
    frame: VideoFrame
    clip: "Clip"

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) sRGB, upright."""
        return turn(self.clip.colors.pixels(self.frame), self.clip.matrix)


class Clip:
    """A film in a file, whose first frame has been decoded.

    Args:
        path: of a regular file in MP4, QuickTime, Matroska, WebM, AVI or GIF.
        limits: how large it may be.

    Attributes:
        height: of the frames as they are shown: upright, with square pixels.
        width: likewise.
        seconds: its declared duration; None if it declares none.
        frames: its number of frames, approximately; None if unknown.
        rate: average frames per second.
        is_steady: whether all frames are shown for the same time.
        end: when the last frame has been shown for its time, in seconds.
        sound: the codecs of its sounds, by FFmpeg's names.
        notes: what a person should know about it.
        matrix: by which its frames are turned and mirrored before they are shown.
        colors: converts its frames to sRGB.
        damaged: positions in the file of packets that could not be decoded so far.

    Raises:
        FilmError: the file is of another kind, damaged, too large, or has no frames.

    """

    def __init__(self, path: str | Path, limits: FilmLimits = DEFAULT_LIMITS) -> None:
        self.path = Path(path)
        self.damaged: set[int] = set()
        self.colors = ColorConverter()
        self._limits = limits
        self._name = str(path)
        self._format = self._known_format()
        with self.open_container() as (container, video):
            self.rate = video.average_rate or video.guessed_rate or _USUAL_RATE
            self.seconds = None if container.duration is None else container.duration / av.time_base
            limits.check_length(self.seconds or 0, self._name)
            seconds = video.duration * video.time_base if video.duration and video.time_base else self.seconds or 0
            declared = video.frames or round(seconds * self.rate)
            limits.check_frames(declared, self._name)
            self.frames = declared or None
            self.sound = tuple(stream.codec_context.name for stream in audio_streams(container))
            aspect = _aspect(video.sample_aspect_ratio)
            found = survey(self.packets(container), video)
            with self._reading():
                is_cut = found.is_cut or is_cut_short(self.path, self._format)
            self.frames = found.frames or declared or None
            self.end = found.end if is_cut else self._declared_end(video, found)
            whole = abs(found.frames / self.rate - (self.end - found.start)) * self.rate
            self.is_steady = whole <= _STEADY and found.differ * self.rate <= _STEADY
            notes = _stream_notes(container)
        first = next(self.shots(), None)
        if first is None:
            raise self._refusal("holds no frame that can be decoded")
        self.height, self.width = first.frame.height, max(1, round(first.frame.width * aspect))
        limits.check_size(self.width, self.height, self._name)
        self.matrix = display_matrix(first.frame)
        if is_on_its_side(self.matrix):
            self.height, self.width = self.width, self.height
        if is_cut:
            # What FFmpeg says of a GIF is what it found itself.
            of = f" of {declared}" if self._format != "gif" and declared >= found.frames else ""
            notes.append(f"its end is missing; {found.frames}{of} frames are there")
        self.notes = tuple(f"{printable(self._name)}: {note}" for note in (*notes, *_frame_notes(first.frame)))

    def _declared_end(self, video: VideoStream, found: Survey) -> Fraction:
        """Return when the last frame has been shown, of a whole file."""
        if self._format != "matroska" and video.duration and video.time_base:
            # Not of the packets: MP4 says of each how long after it the next is decoded.
            return ((video.start_time or 0) + video.duration) * video.time_base
        # Matroska may leave the time of the last frame to be known from the duration of all. What is less than half a
        # frame is rounding.
        seconds = Fraction(self.seconds or 0).limit_denominator(av.time_base)
        return seconds if seconds > found.last + 1 / (2 * self.rate) else found.end

    @property
    def damage(self) -> tuple[str, ...]:
        """What a person should know about frames that could not be decoded so far."""
        count = len(self.damaged)
        frames = "1 frame is damaged and was" if count == 1 else f"{count} frames are damaged and were"
        return (f"{printable(self._name)}: {frames} passed over",) if count else ()

    @contextlib.contextmanager
    def open_container(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """Open the file, and give the container and its video stream.

        Raises:
            FilmError: it cannot be opened, or is not of a format that is read.

        """
        with contextlib.ExitStack() as stack:
            with self._reading():
                container = stack.enter_context(self._container(stack.enter_context(self.path.open("rb"))))
            if len(container.streams) > self._limits.max_streams:
                raise FilmError(f"{printable(self._name)}: has {len(container.streams)} streams; keep one or two")
            moving = _moving_pictures(container)
            if not moving:
                raise FilmError(f"{printable(self._name)}: has no pictures that move, only sound or text; name a film")
            video = moving[0]
            self._prepare(video)
            yield container, video

    def shots(self) -> Generator[Shot, None, None]:
        """Yield the frames in the order in which they are shown.

        Raises:
            FilmError: the file is damaged, or its content exceeds the limits.

        """
        with self.open_container() as (container, video):
            numbering = Numbering(self)
            for packet in self.packets(container, video):
                # The yield is outside: errors of the caller are not errors of the file.
                with self._reading():
                    shots = list(numbering.shots(packet, video))
                yield from shots

    def packets(self, container: InputContainer, *streams: Stream) -> "Iterator[Packet[Stream]]":
        """Yield the packets of some streams, of all if none is named, up to the first place that is damaged.

        Raises:
            FilmError: the file cannot be read.

        """
        packets = container.demux(*streams)
        while True:
            with self._reading():
                try:
                    packet = next(packets, None)
                except av.error.InvalidDataError:
                    return
            if packet is None:
                return
            yield packet

    def check_frame(self, shot: Shot, first: Shot) -> Shot:
        """Return the frame, or refuse one that exceeds the limits."""
        self._limits.check_frames(shot.index + 1, self._name)
        self._limits.check_size(shot.frame.width, shot.frame.height, self._name)
        self._limits.check_length(float(shot.time - first.time), self._name)
        return shot

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn errors of FFmpeg and the system into a one-line `FilmError`."""
        try:
            yield
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._refusal(f"cannot be read ({reason(error)})") from error

    def _refusal(self, what: str) -> FilmError:
        advice = "check the file"
        with contextlib.suppress(OSError):
            if is_cut_short(self.path, self._format):
                advice = "its end is missing, so get the whole file"
        return FilmError(f"{printable(self._name)}: {what}; {advice}")

    def _known_format(self) -> str:
        try:
            info = self.path.stat()
            # Opening a pipe would wait for a writer forever.
            if not stat.S_ISREG(info.st_mode):
                raise FilmError(f"{printable(self._name)}: is not a regular file; name the file of a film")
            self._limits.check_bytes(info.st_size, self._name)
            with self.path.open("rb") as file:
                start = file.read(_LONGEST_SIGNATURE)
        except (OSError, ValueError) as error:
            raise FilmError(f"{printable(self._name)}: cannot be read ({reason(error)}); check the path") from error
        for name, (at, signatures) in _SIGNATURES.items():
            if start[at:].startswith(signatures):
                return name
        raise FilmError(
            f"{printable(self._name)}: is no film in MP4, QuickTime, Matroska, WebM, AVI or GIF, whatever "
            f"its name says; "
            "convert it to one of them"
        )

    def _container(self, file: BinaryIO) -> InputContainer:
        # An open file instead of a path, so that FFmpeg has no name by which to open other files.
        options = {"protocol_whitelist": "", "format_whitelist": self._format, "max_streams": "100"}
        return av.open(file, "r", format=self._format, options=options)

    def _prepare(self, video: VideoStream) -> None:
        context = video.codec_context
        name = "none that is known" if context is None else context.name
        if name not in _CODECS:
            raise FilmError(f"{printable(self._name)}: its codec is {printable(name)}; convert it to H.264")
        self._limits.check_size(context.width, context.height, self._name)
        # The size inside the stream may differ from that in the container.
        context.options = {"max_pixels": str(self._limits.max_pixels)}
        context.thread_count = 1


class Numbering:
    """Numbers the frames that are decoded, and makes their times ascending."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._first: Shot | None = None
        self._last: Shot | None = None

    def shots(self, packet: "Packet[VideoStream] | Packet[Stream]", video: VideoStream) -> Iterator[Shot]:
        """Yield the frames that a packet of `video` decodes to."""
        for frame in self._decode(packet, video):
            index = 0 if self._last is None else self._last.index + 1
            soonest = Fraction(0) if self._last is None else self._last.time + 1 / (video.average_rate or _USUAL_RATE)
            time = soonest if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
            if self._last is not None and time <= self._last.time:
                # Shown for no time at all.
                continue
            shot = Shot(index, time, frame, self._clip)
            self._first = self._first or shot
            self._last = self._clip.check_frame(shot, self._first)
            yield shot

    def _decode(self, packet: "Packet[VideoStream] | Packet[Stream]", video: VideoStream) -> list[VideoFrame]:
        # What remains of a packet whose end is missing would be a frame with a part of grey.
        if packet.is_corrupt:
            return []
        try:
            return video.decode(packet)
        except av.error.InvalidDataError:
            if self._last is None:
                raise
            # As players do; the frame before is shown for longer.
            self._clip.damaged.add(packet.pos or 0)
            return []


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """Return the audio streams whose codec is known."""
    # PyAV's types promise a codec, but a damaged file has none.
    return [stream for stream in container.streams.audio if getattr(stream, "codec_context", None) is not None]


def _moving_pictures(container: InputContainer) -> list[VideoStream]:
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]


def _stream_notes(container: InputContainer) -> list[str]:
    """Return what a person should know about streams that are left out."""
    unknown = len(container.streams.audio) - len(audio_streams(container))
    found = {
        "has several pictures at a time; the first is painted": len(_moving_pictures(container)) > 1,
        "its subtitles are left out": container.streams.subtitles,
        "a sound whose codec is not known is left out": unknown,
    }
    return [note for note, applies in found.items() if applies]


def _frame_notes(frame: VideoFrame) -> list[str]:
    """Return what a person should know about the frames, of which this is the first."""
    found = {_HDR: is_hdr(frame), _INTERLACED: frame.interlaced_frame}
    return [note for note, applies in found.items() if applies]


def _aspect(declared: Fraction | None) -> float:
    """Return the ratio of a pixel's width to its height."""
    aspect = float(declared or 1)
    return aspect if 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT else 1.0


# By FFmpeg's name of the format: the position of its signature in the file, and its possible values.
_SIGNATURES: Final[dict[str, tuple[int, tuple[bytes, ...]]]] = {
    "mov": (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    "matroska": (0, (b"\x1aE\xdf\xa3",)),
    "avi": (0, (b"RIFF",)),
    "gif": (0, (b"GIF87a", b"GIF89a")),
}
_LONGEST_SIGNATURE: Final = 16
# The codecs that cameras, phones, editors and the web produce.
_CODECS: Final = (
    *("av1", "libdav1d", "libaom-av1", "h263", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v3"),
    *("theora", "vp8", "vp9", "libvpx", "libvpx-vp9", "mjpeg", "prores", "ffv1", "gif", "png", "rawvideo"),
)
# Ours: Matroska rounds times to milliseconds, up to a tenth of a frame.
_STEADY: Final = Fraction(1, 5)
_USUAL_RATE: Final = Fraction(25)
# Ours: anamorphic film has 2; a ratio over 10 is a mistake.
_MOST_ASPECT: Final = 10.0
_HDR: Final = "is HDR: what is brighter in it than white paper becomes white"
_INTERLACED: Final = (
    "is interlaced: what moves has a comb at its edges; deinterlace it first, for example with FFmpeg's bwdif"
)
