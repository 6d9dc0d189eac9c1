"""The sound of a clip, whose treatment is known before the first frame is painted."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from impasto.video import encode, sound
from impasto.video.clip import Clip
from tests.video import clips


def loudness(path: Path) -> float:
    """Return the root mean square of a video's sound."""
    resampler = av.AudioResampler(format="flt", layout="mono")
    with av.open(str(path)) as film:
        parts = [part for frame in film.decode(audio=0) for part in resampler.resample(frame)]
    heard = np.concatenate([part.to_ndarray().ravel() for part in parts])
    return float(np.sqrt(np.square(heard).mean()))


@pytest.mark.parametrize(
    ("name", "codec", "heard", "ending"),
    [
        ("a.mkv", "libx264", "flac", ".mov"),
        ("a.mkv", "libx264", "libopus", ".mov"),
        ("a.avi", "mpeg4", "adpcm_ms", ".mkv"),
        ("a.avi", "mpeg4", "pcm_s16le", ".mp4"),
        ("a.mov", "libx264", "adpcm_ima_qt", ".MKV"),
    ],
)
def test_a_sound_that_does_not_fit_is_converted(name: str, codec: str, heard: str, ending: str, tmp_path: Path) -> None:
    clip = Clip(clips.write(tmp_path / name, clips.panned(10), codec=codec, sound=heard))
    (plan,) = sound.plan(clip, ending)
    assert plan.result == f"{clip.sound[0]} as aac"
    (note,) = sound.notes(clip, ending)
    assert note == f"the sound ({clip.sound[0]}) is converted to AAC, for {ending.lower()} does not take it as it is"
    out = tmp_path / f"out{ending}"
    assert encode.write(out, clip, clips.store_frames(clip, tmp_path / "frames"), 10, 65).sound == ("aac",)
    assert clips.seconds(out) == pytest.approx(1, abs=0.06)
    assert loudness(out) == pytest.approx(loudness(clip.path), rel=0.05)


def test_a_sound_that_fits_is_copied(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.avi", clips.panned(3), codec="mpeg4", sound="pcm_s16le")
    clip = Clip(path)
    assert sound.notes(clip, ".mkv") == ()
    assert encode.write(tmp_path / "out.mkv", clip, clips.store_frames(clip, tmp_path / "frames"), 3, 65).sound == (
        "pcm_s16le",
    )
    assert b"".join(clips.sound_packets(tmp_path / "out.mkv")) == b"".join(clips.sound_packets(path))


def test_a_sound_that_cannot_be_converted_is_left_out(tmp_path: Path) -> None:
    clip = Clip(clips.write(tmp_path / "a.avi", clips.panned(3), codec="mpeg4", sound="adpcm_yamaha"))
    (note,) = sound.notes(clip, ".mkv")
    assert note.startswith("the sound (adpcm_yamaha) is left out: .mkv does not take it")
    assert encode.write(tmp_path / "out.mkv", clip, clips.store_frames(clip, tmp_path / "frames"), 3, 65).sound == ()
    assert len(list(Clip(tmp_path / "out.mkv").shots())) == 3


def test_each_of_several_sounds_has_its_own_way(tmp_path: Path) -> None:
    one, two = (clips.write(tmp_path / f"{codec}.mkv", clips.panned(10), sound=codec) for codec in ("aac", "flac"))
    with av.open(str(one)) as first, av.open(str(two)) as second, av.open(str(tmp_path / "a.mkv"), "w") as film:
        taken = [*first.streams, second.streams.audio[0]]
        into = {stream: film.add_stream_from_template(stream) for stream in taken}
        packets: list[Any] = [*first.demux(), *second.demux(audio=0)]
        for packet in packets:
            if packet.size:
                packet.stream = into[packet.stream]
                film.mux(packet)
    clip = Clip(tmp_path / "a.mkv")
    assert [plan.result for plan in sound.plan(clip, ".mov")] == ["aac", "flac as aac"]
    found = encode.write(tmp_path / "out.mov", clip, clips.store_frames(clip, tmp_path / "frames"), 10, 65)
    assert found.sound == ("aac", "aac")
    assert clips.sound_packets(tmp_path / "out.mov") == clips.sound_packets(one)
