"""The sound of a clip on its way into the film: the same packets where the film can hold them, else AAC.

What is possible is tried out with the first packets, so that it is known before the first frame is painted.
"""

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from impasto.system.text import printable
from impasto.video.clip import Clip, audio_streams
from impasto.video.settings import OUTPUTS


class Sound(ABC):
    """A sound of a clip being written into a film.

    Args:
        film: not begun yet.
        stream: of the clip.

    Raises:
        ValueError: it cannot be written so.
        av.FFmpegError: likewise.

    """

    def __init__(self, film: OutputContainer, stream: Stream) -> None:
        self.film = film
        self.into = self.add_stream(cast(AudioStream, stream))

    @abstractmethod
    def add_stream(self, stream: AudioStream) -> AudioStream:
        """Add a stream to the film for this sound, and return it."""

    @abstractmethod
    def write(self, packet: "Packet[Stream]") -> None:
        """Write what is in a packet of the clip."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is left."""


class CopiedSound(Sound):
    """The clip's packets as they are."""

    _last: int | None = None

    def add_stream(self, stream: AudioStream) -> AudioStream:
        """See `Sound`."""
        # MP4 can hold PCM, but hardly any player reads it, and FFmpeg may fail to write it.
        if self.film.format.name == "mp4" and stream.codec_context.name.startswith("pcm_"):
            raise ValueError(stream.codec_context.name)
        return self.film.add_stream_from_template(stream)

    def write(self, packet: "Packet[Stream]") -> None:
        """See `Sound`."""
        if packet.dts is None or packet.pts is None:
            return
        # No container takes a packet that goes back in time, which damaged clips have.
        is_back = self._last is not None and packet.dts <= self._last
        # What an edit list cuts away, but for the two packets before the first sound, which its decoding begins with.
        is_cut = packet.is_discard and (self._last is not None or packet.pts + 2 * (packet.duration or 0) < 0)
        if is_back or is_cut:
            return
        if not packet.is_discard:
            self._last = packet.dts
        packet.stream = self.into
        self.film.mux(packet)

    def finish(self) -> None:
        """See `Sound`."""


class ConvertedSound(Sound):
    """The sound decoded, and encoded again as AAC."""

    def add_stream(self, stream: AudioStream) -> AudioStream:
        """See `Sound`."""
        own = stream.codec_context
        if own.name not in _DECODED:
            raise ValueError(own.name)
        rate = own.rate if own.rate in _RATES else _RATES[-1]
        into = self.film.add_stream(_ENCODER, rate=rate)
        # Some files do not say which speaker a channel is for.
        into.codec_context.layout = {1: "mono", 2: "stereo"}.get(own.layout.nb_channels, own.layout)
        into.codec_context.bit_rate = _BITS_PER_CHANNEL * own.layout.nb_channels
        return into

    def write(self, packet: "Packet[Stream]") -> None:
        """See `Sound`."""
        try:
            encoded = [part for frame in packet.decode() for part in self.into.encode(cast(AudioFrame, frame))]
        except (av.FFmpegError, ValueError):
            # A damaged packet is silent, as in a player.
            return
        self.film.mux(encoded)

    def finish(self) -> None:
        """See `Sound`."""
        self.film.mux(self.into.encode(None))


@dataclass(frozen=True)
class SoundPlan:
    """What becomes of one sound of a clip.

    Attributes:
        index: of its stream in the clip.
        codec: its own, by FFmpeg's name.
        way: how it is written; None if it is left out.

    """

    index: int
    codec: str
    way: type[Sound] | None

    @property
    def result(self) -> str:
        """Its codec in the film, or that it is left out."""
        if self.way is ConvertedSound:
            return f"{self.codec} as {_ENCODER}"
        return self.codec if self.way else f"{self.codec} left out"

    def note(self, ending: str) -> str:
        """Return what a person should know about it, in a film with that ending; nothing if it is copied."""
        if self.way is CopiedSound:
            return ""
        if self.way is ConvertedSound:
            return f"the sound ({printable(self.codec)}) is converted to AAC, for {ending} does not take it as it is"
        return (
            f"the sound ({printable(self.codec)}) is left out: {ending} does not take it, and it cannot be converted "
            "here; to keep it, first convert the clip's sound to AAC"
        )


def plan(clip: Clip, ending: str) -> tuple[SoundPlan, ...]:
    """Return what becomes of each sound of a clip in a film with that ending, one of `OUTPUTS` in any case.

    Raises:
        FilmError: the clip cannot be read.

    """
    with clip.open_container() as (source, _):
        sounds = [(stream.index, stream.codec_context.name) for stream in audio_streams(source)]
    return tuple(SoundPlan(index, codec, _way(clip, index, OUTPUTS[ending.lower()])) for index, codec in sounds)


def notes(clip: Clip, ending: str) -> tuple[str, ...]:
    """Return what a person should know about the sound of a film with that ending: see `plan`."""
    return tuple(note for sound in plan(clip, ending) if (note := sound.note(ending.lower())))


def _way(clip: Clip, index: int, kind: str) -> type[Sound] | None:
    return next((way for way in (CopiedSound, ConvertedSound) if _works(clip, index, kind, way)), None)


def _works(clip: Clip, index: int, kind: str, way: type[Sound]) -> bool:
    """Return whether the first packets of a sound can be written so."""
    with clip.open_container() as (source, _):
        stream = source.streams[index]
        try:
            with av.open(io.BytesIO(), "w", format=kind) as film:
                sound = way(film, stream)
                for packet, _ in zip(source.demux(stream), range(_TRIED), strict=False):
                    if packet.size:
                        sound.write(packet)
                sound.finish()
        except (av.FFmpegError, ValueError):
            return False
    return True


# The codecs that cameras, phones, editors and the web produce.
_DECODED: Final = (
    *("aac", "mp2", "mp3", "mp3float", "ac3", "eac3", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac"),
    *("amrnb", "libopencore_amrnb", "amrwb", "libopencore_amrwb", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"),
    *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
    *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw", "wmav1", "wmav2"),
)
_ENCODER: Final = "aac"
# AAC starts 1,024 samples before its sound, and in Matroska the film that much later: a seventh of a second at 8 kHz.
_RATES: Final = (32_000, 44_100, 48_000)
# Ours: twice what FFmpeg's encoder takes by itself for stereo, so that nothing of the clip's quality is heard to go.
_BITS_PER_CHANNEL: Final = 128_000
# Ours: AC-3's and others' headers are made of the first packets.
_TRIED: Final = 8
