"""What is really in a clip's file, without decoding: how many frames, until when, and whether its end is missing."""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream


@dataclass(frozen=True)
class Survey:
    """What there is of a clip.

    Attributes:
        frames: number of whole packets with a picture to be shown; nearly always the number of frames.
        start: when the first frame is shown, in seconds.
        end: when the last frame has been shown for its time.
        last: the end of the stream that lasts longest.
        differ: by how much the longest time of a frame exceeds the shortest.
        is_cut: whether a packet is not whole.

    """

    frames: int
    start: Fraction
    end: Fraction
    last: Fraction
    differ: Fraction
    is_cut: bool


def survey(packets: "Iterable[Packet[Stream]]", video: VideoStream) -> Survey:
    """Go through the packets of all streams."""
    frames, is_cut, last = 0, False, Fraction(0)
    starts, ends, lengths = _Range(), _Range(), _Range()
    for packet in packets:
        is_cut = is_cut or packet.is_corrupt
        if not packet.size or packet.is_corrupt or packet.is_discard:
            continue
        # AVI has the times of decoding only.
        time = packet.dts if packet.pts is None else packet.pts
        clock = packet.time_base or Fraction(0)
        start, length = (time or 0) * clock, (packet.duration or 0) * clock
        last = max(last, start + length)
        if packet.stream is video:
            frames += 1
            starts.add(start)
            ends.add(start + length)
            lengths.add(length)
    return Survey(frames, starts.least, ends.most, last, lengths.most - lengths.least, is_cut)


class _Range:
    """The least and the most of some numbers; 0 of none."""

    least = most = Fraction(0)
    _is_empty = True

    def add(self, number: Fraction) -> None:
        self.least = number if self._is_empty else min(self.least, number)
        self.most = number if self._is_empty else max(self.most, number)
        self._is_empty = False


def is_cut_short(path: Path, kind: str) -> bool:
    """Return whether the outermost parts of a file declare more bytes than it has; False if they declare none.

    Args:
        path: of the file.
        kind: FFmpeg's name of its format: mov, matroska, avi or gif.

    Raises:
        OSError: it cannot be read.

    """
    with path.open("rb") as file:
        length = file.seek(0, io.SEEK_END)
        if kind == "gif":
            # The end mark; some writers fill up with zeros.
            file.seek(max(0, length - _TAIL))
            return not file.read().rstrip(b"\0").endswith(b";")
        file.seek(0)
        return any(end > length for end in _ENDS[kind](file))


def _boxes(file: BinaryIO) -> Iterator[int]:
    """Yield where each box of ISO 14496-12 ends."""
    at = 0
    while len(head := file.read(16)) >= 8:
        (size,) = struct.unpack(">I", head[:4])
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack(">Q", head[8:])
        if size < 8:
            # To the end of the file, or no box.
            return
        at += size
        yield at
        file.seek(at)


def _chunks(file: BinaryIO) -> Iterator[int]:
    """Yield where each RIFF chunk ends; a film of over 1 GB has several."""
    at = 0
    while (head := file.read(8))[:4] == b"RIFF" and len(head) == 8:
        (size,) = struct.unpack("<I", head[4:])
        at += 8 + size + size % 2
        yield at - size % 2
        file.seek(at)


def _elements(file: BinaryIO) -> Iterator[int]:
    """Yield where each outermost element of Matroska ends: RFC 8794."""
    while file.read(1):
        file.seek(-1, io.SEEK_CUR)
        _number(file)
        size = _number(file)
        if size is None:
            return
        at = file.tell() + size
        yield at
        file.seek(at)


def _number(file: BinaryIO) -> int | None:
    """Return a number of variable length, without its length's mark; None if it is unknown: all ones."""
    first = file.read(1) or b"\0"
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1)) & ~(1 << 7 * length)
    return None if length > 8 or value == (1 << 7 * length) - 1 else value


_ENDS: Final = {"mov": _boxes, "avi": _chunks, "matroska": _elements}
_TAIL: Final = 4096
