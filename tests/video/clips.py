"""Small videos with sound."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from impasto.video.clip import Clip
from impasto.video.frames import FrameStore

Pixels = NDArray[np.uint8]


def texture(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture with structure at several scales, whose motion the optical flow can find."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for size in (4, 8, 16):
        coarse = generator.uniform(-1, 1, (height // size + 2, width // size + 2, 3))
        rows, columns = np.arange(height) / size, np.arange(width) / size
        top, left = rows.astype(int), columns.astype(int)
        down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
        upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
        lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
        total += upper * (1 - down) + lower * down
    return np.clip(128 + 70 * total, 0, 255).astype(np.uint8)


def panned(frames: int, height: int = 48, width: int = 64, seed: int = 0, step: int = 2) -> list[Pixels]:
    """A crop moving to the right over a picture by `step` pixels a frame."""
    wide = texture(height, width + step * frames, seed)
    return [np.ascontiguousarray(wide[:, step * index : step * index + width]) for index in range(frames)]


def write(
    path: Path,
    frames: Sequence[Pixels],
    *,
    times: Iterable[int] | None = None,
    last: int = 1,
    clock: Fraction = Fraction(1, 10),
    codec: str = "libx264",
    sound: str | None = "aac",
    curve: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames at `times`, the last of which is shown for `last`, in units of `clock`, with a sine of that length.

    With a transfer `curve`, by FFmpeg's number, at ten bits; with `options` of the encoder or the container.
    """
    shown = list(range(len(frames)) if times is None else times)
    chosen = {"libx264": {"crf": "10"}, "mpeg4": {"qmin": "1", "qmax": "2"}}.get(codec, {})
    with av.open(str(path), "w", container_options=options or {}) as film:
        stream: Any = film.add_stream(codec, rate=Fraction(10), options=chosen | (options or {}))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = {"gif": "rgb8", "huffyuv": "yuv422p", "prores_ks": "yuv422p10le"}.get(
            codec, "yuv420p" if curve is None else "yuv420p10le"
        )
        if curve is not None:
            stream.codec_context.color_trc = curve
        stream.codec_context.time_base = clock
        audio: Any = film.add_stream(sound, rate=48000) if sound else None
        stream.codec_context.flags |= Flags.frame_duration
        end = shown[-1] + last
        for pixels, time, until in zip(frames, shown, [*shown[1:], end], strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base, frame.duration = time, clock, until - time
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        if audio is not None:
            count = int(end * clock * 48000)
            wave = (0.2 * np.sin(2 * np.pi * 440 * np.arange(count) / 48000)).astype(np.float32)
            tone = av.AudioFrame.from_ndarray(np.tile(wave, (1, 1)), format="fltp", layout="mono")
            tone.rate, tone.pts = 48000, 0
            film.mux(audio.encode(tone))
            film.mux(audio.encode(None))
    return path


def damage(path: Path) -> None:
    """Damage the fourth frame of an MP4: the length of its first part exceeds the file."""
    with av.open(str(path)) as film:
        places = [packet.pos or 0 for packet in film.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    data[places[3] : places[3] + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)


def sound_packets(path: Path) -> list[bytes]:
    """Return the packets of the sound, as they are in the file."""
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]


def store_frames(clip: Clip, folder: Path) -> FrameStore:
    """Store the frames of the clip, cut to even sides, as if they had been painted."""
    store = FrameStore(folder, {})
    for shot in clip.shots():
        height, width = (side // 2 * 2 for side in shot.pixels.shape[:2])
        store.keep(shot.index, shot.pixels[:height, :width])
    return store


def seconds(path: Path) -> float:
    """Return the duration of a video in seconds."""
    with av.open(str(path)) as film:
        assert film.duration is not None
        return film.duration / av.time_base
