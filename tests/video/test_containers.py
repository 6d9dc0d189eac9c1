"""What clips and containers can and cannot hold: sound, display matrices, times of frames, ends that are missing."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from impasto.video import encode
from impasto.video.clip import Clip, Pixels
from impasto.video.frames import FrameStore
from impasto.video.sound import plan_sound
from tests.video import clips as making


def kept(tmp_path: Path, frames: list[Pixels]) -> FrameStore:
    store = FrameStore(tmp_path / "frames", {"version": "1"})
    for index, pixels in enumerate(frames):
        store.keep(index, pixels)
    return store


@pytest.mark.parametrize(
    ("name", "codec", "sound", "target", "expected"),
    [
        ("a.mkv", "libx264", "libopus", "o.mov", "aac"),
        ("a.mkv", "libx264", "flac", "o.mov", "aac"),
        ("a.avi", "mpeg4", "adpcm_ms", "o.mkv", "aac"),
        ("a.avi", "mpeg4", "pcm_s16le", "o.mp4", "aac"),
        ("a.avi", "mpeg4", "pcm_s16le", "o.mkv", "pcm_s16le"),
        ("a.mp4", "libx264", "aac", "o.mov", "aac"),
    ],
)
def test_sound_is_copied_or_converted_and_that_is_known_before(
    name: str, codec: str, sound: str, target: str, expected: str, tmp_path: Path
) -> None:
    frames = making.panned(4)
    clip = Clip(making.write(tmp_path / name, frames, codec=codec, sound=sound))
    plan = plan_sound(clip, encode.OUTPUTS[Path(target).suffix])
    is_copied = clip.sound == (expected,)
    assert [way for _, way in plan.streams] == ["copied" if is_copied else "converted"]
    assert len(plan.notes) == (0 if is_copied else 1)
    facts = encode.write(tmp_path / target, clip, kept(tmp_path, frames), 4, 65)
    assert (facts.sound, facts.notes) == ((expected,), ())
    with av.open(str(tmp_path / target)) as film:
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in film.decode(audio=0)])
    assert np.abs(heard).max() > 0


def test_sound_that_cannot_be_converted_is_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = making.panned(3)
    clip = Clip(making.write(tmp_path / "a.mkv", frames, sound="libopus"))
    monkeypatch.setattr("impasto.video.sound._CODEC", "no codec of that name")
    plan = plan_sound(clip, "mov")
    assert plan.streams == (("opus", "left out"),)
    assert "it is left out" in plan.notes[0]
    facts = encode.write(tmp_path / "o.mov", clip, kept(tmp_path, frames), 3, 65)
    assert facts.sound == ()


MATRICES = {
    "mirrored": ((-1, 0, 0, 1), lambda pixels: pixels[:, ::-1]),
    "flipped": ((1, 0, 0, -1), lambda pixels: pixels[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda pixels: pixels[::-1, ::-1]),
    "a quarter, clockwise": ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1)),
    "a quarter, anticlockwise": ((0, -1, 1, 0), np.rot90),
    "transposed": ((0, 1, 1, 0), lambda pixels: pixels.swapaxes(0, 1)),
    "transposed the other way": ((0, -1, -1, 0), lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_frames_are_turned_and_mirrored_by_the_whole_matrix(name: str, tmp_path: Path) -> None:
    matrix, turned = MATRICES[name]
    path = making.write(tmp_path / "a.mp4", making.panned(2), sound=None)
    plain = next(Clip(path).shots()).pixels
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    numbers = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:at] + numbers + data[at + 36 :])
    clip = Clip(path)
    shown = next(clip.shots()).pixels
    assert (shown == turned(plain)).all()
    assert (clip.height, clip.width) == shown.shape[:2]


@pytest.mark.parametrize("target", ["o.mp4", "o.mov", "o.mkv"])
def test_the_last_frame_is_shown_as_long_as_in_the_clip(target: str, tmp_path: Path) -> None:
    frames = making.panned(4)
    pictures = [Image.fromarray(pixels) for pixels in frames]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 500, 40, 1000])
    clip = Clip(tmp_path / "a.gif")
    encode.write(tmp_path / target, clip, kept(tmp_path, frames), 4, 65)
    with av.open(str(tmp_path / target)) as film:
        assert film.duration is not None
        assert abs(film.duration / av.time_base - 1.64) < 0.02


def test_a_clip_that_is_cut_short_is_said(tmp_path: Path) -> None:
    frames = making.panned(60)
    path = making.write(tmp_path / "a.mkv", frames, sound=None)
    data = path.read_bytes()
    store = kept(tmp_path, frames)
    assert encode.write(tmp_path / "o.mp4", Clip(path), store, 60, 65).notes == ()
    path.write_bytes(data[: len(data) // 2])
    clip = Clip(path)
    count = len(list(clip.shots()))
    assert 0 < count < 50
    (note,) = encode.write(tmp_path / "o.mp4", clip, store, count, 65).notes
    assert f"ends after {count} of about 60 frames" in note
    # Of a part that was asked for nothing is missing.
    assert encode.write(tmp_path / "o.mp4", clip, store, count - 1, 65).notes == ()
