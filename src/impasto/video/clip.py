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
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from impasto.errors import FilmError
from impasto.system.text import printable, reason
from impasto.video.limits import DEFAULT_LIMITS, FilmLimits
from impasto.video.upright import is_on_its_side, turn

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
        return turn(self.frame.to_ndarray(format="rgb24"), self.frame)


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
        notes: what a person should know about it.

    Raises:
        FilmError: the file is of another kind, damaged, too large, or has no frames.

    """

    def __init__(self, path: str | Path, limits: FilmLimits = DEFAULT_LIMITS) -> None:
        self.path = Path(path)
        self._limits = limits
        self._name = str(path)
        self._format = self._known_format()
        with self.open_container() as (container, video):
            self.rate = video.average_rate or video.guessed_rate or _USUAL_RATE
            self.seconds = None if container.duration is None else container.duration / av.time_base
            limits.check_length(self.seconds or 0, self._name)
            declared = video.frames or (round(self.seconds * self.rate) if self.seconds else 0)
            limits.check_frames(declared, self._name)
            self.frames = declared or None
            self.sound = tuple(stream.codec_context.name for stream in audio_streams(container))
            several = len(container.streams.video) > 1
            aspect = _aspect(video.sample_aspect_ratio)
        first = next(self.shots(), None)
        if first is None:
            raise FilmError(f"{printable(self._name)}: holds no frame that can be decoded; check the file")
        across, down = first.frame.width, first.frame.height
        self.height, self.width = down, max(1, round(across * aspect))
        limits.check_size(self.width, self.height, self._name)
        if is_on_its_side(first.frame):
            self.height, self.width = self.width, self.height
        self.notes = (
            *((f"{printable(self._name)}: has several pictures at a time; the first is painted",) if several else ()),
            *((_HDR.format(printable(self._name)),) if int(first.frame.color_trc) in _HDR_CURVES else ()),
        )

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
            if not container.streams.video:
                raise FilmError(f"{printable(self._name)}: has no pictures, only sound or text; name a film")
            video = container.streams.video[0]
            self._prepare(video)
            yield container, video

    def shots(self) -> Generator[Shot, None, None]:
        """Yield the frames in the order in which they are shown.

        Raises:
            FilmError: the file is damaged, or its content exceeds the limits.

        """
        with self.open_container() as (container, video):
            numbering, packets = Numbering(self), container.demux(video)
            while True:
                # The yield is outside: errors of the caller are not errors of the file.
                with self._reading():
                    packet = next(packets, None)
                    shots = [] if packet is None else list(numbering.shots(packet, video))
                if packet is None:
                    return
                yield from shots

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
            raise FilmError(f"{printable(self._name)}: cannot be read ({reason(error)}); check the file") from error

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
        for frame in video.decode(packet):
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


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """Return the audio streams whose codec is known."""
    # PyAV's types promise a codec, but a damaged file has none.
    return [stream for stream in container.streams.audio if getattr(stream, "codec_context", None) is not None]


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
_USUAL_RATE: Final = Fraction(25)
# Ours: anamorphic film has 2; a ratio over 10 is a mistake.
_MOST_ASPECT: Final = 10.0
# ITU-T H.273: the transfer characteristics PQ and HLG.
_HDR_CURVES: Final = (16, 18)
_HDR: Final = "{}: is HDR, and its colours are taken as sRGB; they come out pale"
