"""The clip's sound in the film: copied where the film's format holds it, else converted to AAC, else left out."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Final, Literal, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from impasto.video.clip import Clip, audio_streams

Way = Literal["copied", "converted", "left out"]

# What every format of a film here and every player takes.
_CODEC: Final = "aac"
# Its highest rate, Hz; ISO/IEC 14496-3, table 1.18.
_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
# Ours: enough packets for a format to say that it cannot hold them.
_TRIED: Final = 20


@dataclass(frozen=True)
class SoundPlan:
    """What happens to each of the clip's streams of sound: its codec, and the way it goes into the film."""

    streams: tuple[tuple[str, Way], ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, before the first frame is painted."""
        words = {
            "converted": "does not go into this kind of file as it is, and is converted to AAC",
            "left out": "does not go into this kind of file, and cannot be converted; it is left out",
        }
        return tuple(f"the sound ({codec}) {words[way]}" for codec, way in self.streams if way != "copied")


def plan_sound(clip: Clip, kind: str) -> SoundPlan:
    """Return what happens to a clip's sound in a film, after trying it with the first packets of each stream.

    Args:
        clip: whose sound it is.
        kind: FFmpeg's name of the film's format.

    """
    return SoundPlan(tuple((codec, _way(clip, index, kind)) for index, codec in enumerate(clip.sound)))


def _way(clip: Clip, index: int, kind: str) -> Way:
    for way in cast(tuple[Way, ...], ("copied", "converted")):
        # FFmpeg raises errors of many kinds, some as late as at a file's end.
        with contextlib.suppress(av.FFmpegError, OSError, ValueError), clip.open_container() as (source, _):
            stream = audio_streams(source)[index]
            # MP4 can hold PCM, but hardly any player reads it.
            if way == "copied" and kind == "mp4" and stream.codec_context.name.startswith("pcm_"):
                continue
            with av.open(BytesIO(), "w", format=kind) as film:
                track = Track(film, stream, way)
                for _, packet in zip(range(_TRIED), source.demux(stream), strict=False):
                    track.add(packet, None)
                track.end()
            return way
    return "left out"


class Track:
    """A stream of sound of the film, and the clip's stream that it is made of."""

    def __init__(self, film: OutputContainer, source: AudioStream, way: Way) -> None:
        self._film = film
        self._source = source
        self._is_copied = way == "copied"
        if self._is_copied:
            self._stream = film.add_stream_from_template(source)
        else:
            rate = next((rate for rate in _RATES if rate <= source.codec_context.sample_rate), _RATES[-1])
            self._stream = film.add_stream(_CODEC, rate=rate)
            self._stream.layout = "mono" if source.codec_context.channels == 1 else "stereo"

    @property
    def codec(self) -> str:
        """FFmpeg's name of the film's codec."""
        return self._stream.codec_context.name

    def add(self, packet: "Packet[Stream] | Packet[AudioStream]", until: Fraction | None) -> None:
        """Add a packet of the clip's stream, if it begins before a time in seconds; None for the whole clip."""
        if not self._is_copied:
            for frame in packet.decode():
                self._encode(cast(AudioFrame, frame), until)
        # The last packet of a stream is empty.
        elif (
            packet.dts is not None
            and packet.pts is not None
            and packet.time_base is not None
            and (until is None or packet.pts * packet.time_base < until)
        ):
            packet.stream = self._stream
            self._film.mux(packet)

    def end(self) -> None:
        """Write what the encoder still holds."""
        if not self._is_copied:
            self._film.mux(self._stream.encode(None))

    def _encode(self, frame: AudioFrame, until: Fraction | None) -> None:
        if until is None or frame.pts is None or frame.time_base is None or frame.pts * frame.time_base < until:
            self._film.mux(self._stream.encode(frame))


def add_tracks(film: OutputContainer, source: InputContainer, plan: SoundPlan) -> dict[AudioStream, Track]:
    """Return the tracks of a film by the clip's streams that they are made of."""
    return dict(_tracks(film, source, plan))


def _tracks(film: OutputContainer, source: InputContainer, plan: SoundPlan) -> Iterator[tuple[AudioStream, Track]]:
    for stream, (_, way) in zip(audio_streams(source), plan.streams, strict=True):
        if way != "left out":
            yield stream, Track(film, stream, way)
