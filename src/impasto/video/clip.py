"""What is in the file of a clip: its frames with their times, upright, and its sound. PyAV reads it.

FFmpeg knows hundreds of formats, some of which name other files and servers. Here the file's first bytes choose one of
four, nothing but this file is open, and only common codecs decode.
"""

import contextlib
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from impasto.errors import FilmError
from impasto.system.text import printable, reason
from impasto.video.limits import DEFAULT_LIMITS, FilmLimits

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One frame as it was filmed.

    Attributes:
        index: 0 is the first.
        time: when it is shown, in seconds.
        frame: as it was decoded.
        clip: it is of.

    """

    index: int
    time: Fraction
    frame: VideoFrame
    clip: "Clip"

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) sRGB, upright."""
        return _upright(self.frame)


class Clip:
    """A film in a file, of which the first frame has been decoded.

    Args:
        path: of a regular file in MP4, QuickTime, Matroska, WebM, AVI or GIF.
        limits: how large it may be.

    Attributes:
        height: of the frames as they are shown: turned as the file says, with square pixels.
        width: the same.
        seconds: that it takes, as it declares; None if it does not.
        frames: how many there are, about; None if that is not known.
        rate: frames a second, on average.
        notes: what a person should know about it.

    Raises:
        FilmError: it is no such file, damaged, too large, or shows nothing.

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
        if _quarter_turns(first.frame) % 2:
            self.height, self.width = self.width, self.height
        self.notes = (
            *((f"{printable(self._name)}: has several pictures at a time; the first is painted",) if several else ()),
            *((_HDR.format(printable(self._name)),) if int(first.frame.color_trc) in _HDR_CURVES else ()),
        )

    @contextlib.contextmanager
    def open_container(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """Give the container, open, and its stream of pictures.

        Raises:
            FilmError: it cannot be opened or is not what is read.

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
            FilmError: the file is damaged, or more comes out of it than the limits allow.

        """
        with self.open_container() as (container, video):
            numbering, packets = Numbering(self), container.demux(video)
            while True:
                # Not around the yield: whoever looks at the frame has errors of their own.
                with self._reading():
                    packet = next(packets, None)
                    shots = [] if packet is None else list(numbering.shots(packet, video))
                if packet is None:
                    return
                yield from shots

    def check_frame(self, shot: Shot, first: Shot) -> Shot:
        """Refuse a frame that is over the limits."""
        self._limits.check_frames(shot.index + 1, self._name)
        self._limits.check_size(shot.frame.width, shot.frame.height, self._name)
        self._limits.check_length(float(shot.time - first.time), self._name)
        return shot

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Have what FFmpeg and the system say of the file in one line."""
        try:
            yield
        except (av.FFmpegError, OSError, ValueError) as error:
            raise FilmError(f"{printable(self._name)}: cannot be read ({reason(error)}); check the file") from error

    def _known_format(self) -> str:
        try:
            info = self.path.stat()
            # Opening a pipe would wait for a writer for ever.
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
        # An open file instead of a path: whatever is in it, FFmpeg has no name to open another by.
        options = {"protocol_whitelist": "", "format_whitelist": self._format, "max_streams": "100"}
        return av.open(file, "r", format=self._format, options=options)

    def _prepare(self, video: VideoStream) -> None:
        context = video.codec_context
        name = "none that is known" if context is None else context.name
        if name not in _CODECS:
            raise FilmError(f"{printable(self._name)}: its codec is {printable(name)}; convert it to H.264")
        self._limits.check_size(context.width, context.height, self._name)
        # Inside the stream the size may be another than in its container.
        context.options = {"max_pixels": str(self._limits.max_pixels)}
        context.thread_count = 1


class Numbering:
    """Numbers the frames that come out of packets, and gives each a time after the one before."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._first: Shot | None = None
        self._last: Shot | None = None

    def shots(self, packet: "Packet[Any]", video: VideoStream) -> Iterator[Shot]:
        """Yield what a packet of `video` decodes to."""
        decoded: Any = packet.decode()
        for frame in decoded:
            index = 0 if self._last is None else self._last.index + 1
            soonest = Fraction(0) if self._last is None else self._last.time + 1 / (video.average_rate or _USUAL_RATE)
            has_time = frame.pts is not None and frame.time_base is not None
            time = frame.pts * frame.time_base if has_time else soonest
            if self._last is not None and time <= self._last.time:
                # Shown for no time at all.
                continue
            shot = Shot(index, time, frame, self._clip)
            self._first = self._first or shot
            self._last = self._clip.check_frame(shot, self._first)
            yield shot


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """Return the streams of sound whose codec is known."""
    # PyAV's types promise a codec; a damaged file has none.
    return [stream for stream in container.streams.audio if getattr(stream, "codec_context", None) is not None]


def _upright(frame: VideoFrame) -> Pixels:
    pixels: Any = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, _quarter_turns(frame)))


def _quarter_turns(frame: VideoFrame) -> int:
    """Return by how many quarter turns, against the clock, a frame is turned before it is shown."""
    return round(frame.rotation / 90) % 4


def _aspect(declared: Fraction | None) -> float:
    """Return the width of a pixel by its height."""
    aspect = float(declared or 1)
    return aspect if 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT else 1.0


# By FFmpeg's names: where in a file its signature is, and what that may be.
_SIGNATURES: Final[dict[str, tuple[int, tuple[bytes, ...]]]] = {
    "mov": (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    "matroska": (0, (b"\x1aE\xdf\xa3",)),
    "avi": (0, (b"RIFF",)),
    "gif": (0, (b"GIF87a", b"GIF89a")),
}
_LONGEST_SIGNATURE: Final = 16
# What cameras, phones, editors and the web make.
_CODECS: Final = (
    *("av1", "libdav1d", "libaom-av1", "h263", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v3"),
    *("theora", "vp8", "vp9", "libvpx", "libvpx-vp9", "mjpeg", "prores", "ffv1", "gif", "png", "rawvideo"),
)
_USUAL_RATE: Final = Fraction(25)
# Ours: anamorphic film has 2; what is over 10 is a mistake.
_MOST_ASPECT: Final = 10.0
# ITU-T H.273: PQ and HLG.
_HDR_CURVES: Final = (16, 18)
_HDR: Final = "{}: is HDR, and its colours are taken as sRGB; they come out pale"
