"""Clips: frames, times, sound; and files that are not clips."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from impasto.errors import FilmError
from impasto.video.clip import Clip
from impasto.video.limits import FilmLimits
from tests.video import clips


def test_frames_times_and_sound(tmp_path: Path) -> None:
    frames = clips.panned(6)
    clip = Clip(clips.write(tmp_path / "a.mp4", frames))
    assert (clip.height, clip.width, clip.frames, float(clip.rate)) == (48, 64, 6, 10.0)
    assert clip.sound == ("aac",)
    shots = list(clip.shots())
    assert [shot.time for shot in shots] == [Fraction(index, 10) for index in range(6)]
    for shot, frame in zip(shots, frames, strict=True):
        # H.264 and colours at half the resolution change the pixels this much.
        assert np.abs(shot.pixels.astype(int) - frame).mean() < 8


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mov", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.gif", "gif")]
)
def test_every_format(name: str, codec: str, tmp_path: Path) -> None:
    sound = {"a.avi": "mp2", "a.gif": None}.get(name, "aac")
    clip = Clip(clips.write(tmp_path / name, clips.panned(6), codec=codec, sound=sound))
    assert [float(shot.time) for shot in clip.shots()] == pytest.approx([index / 10 for index in range(6)], abs=1e-3)
    assert (clip.height, clip.width) == (48, 64)


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("a.webm", "libvpx", "libopus"),
        ("a.webm", "libvpx-vp9", "libopus"),
        ("a.mp4", "libsvtav1", "aac"),
        ("a.mp4", "libx265", "aac"),
        ("a.mov", "prores_ks", "pcm_s16le"),
        ("a.mkv", "ffv1", "flac"),
    ],
)
def test_what_phones_and_cameras_write(name: str, codec: str, sound: str, tmp_path: Path) -> None:
    if codec not in av.codecs_available or sound not in av.codecs_available:
        pytest.skip(f"this PyAV cannot write {codec} with {sound}")
    frames = clips.panned(6, 64, 64)
    clip = Clip(clips.write(tmp_path / name, frames, codec=codec, sound=sound))
    shots = list(clip.shots())
    assert [float(shot.time) for shot in shots] == pytest.approx([index / 10 for index in range(6)], abs=2e-3)
    for shot, frame in zip(shots, frames, strict=True):
        assert np.abs(shot.pixels.astype(int) - frame).mean() < 12


@pytest.mark.parametrize("curve", [16, 18])  # PQ and HLG
def test_hdr_is_read_with_a_note(curve: int, tmp_path: Path) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV cannot write HEVC")
    clip = Clip(clips.write(tmp_path / "a.mp4", clips.panned(3, 64, 64), codec="libx265", curve=curve))
    assert len(list(clip.shots())) == 3
    (note,) = clip.notes
    assert note.endswith("a.mp4: is HDR: what is brighter in it than white paper becomes white")


def test_the_name_says_nothing(tmp_path: Path) -> None:
    clips.write(tmp_path / "a.mkv", clips.panned(3)).rename(tmp_path / "a.txt")
    assert len(list(Clip(tmp_path / "a.txt").shots())) == 3


def shown_through(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """The same video with (a, b, c, d) as the display matrix of its track."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(number * 65536) for number in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "seen"),
    [
        ((1, 0, 0, 1), lambda frame: frame),
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
        ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
        ((0, -1, 1, 0), lambda frame: np.rot90(frame, 1)),
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
        ((1, 0, 0, -1), lambda frame: frame[::-1]),
        ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda frame: frame[::-1, ::-1].swapaxes(0, 1)),
        # Rotated by three more degrees, as a tilted phone writes it.
        ((0.05, 0.999, -0.999, 0.05), lambda frame: np.rot90(frame, -1)),
    ],
)
def test_a_turned_or_mirrored_film_is_upright(
    matrix: tuple[float, float, float, float], seen: Callable[[clips.Pixels], clips.Pixels], tmp_path: Path
) -> None:
    frames = clips.panned(2)
    clip = Clip(shown_through(clips.write(tmp_path / "a.mp4", frames, sound=None), matrix))
    expected = seen(frames[0])
    assert (clip.height, clip.width) == expected.shape[:2]
    shot = next(clip.shots())
    assert np.abs(shot.pixels.astype(int) - expected).mean() < 8


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


@pytest.mark.parametrize("data", [PLAYLIST, CONCAT, SVG, b"", b"\0\0\0\x18ftypisom", b"RIFF\0\0\0\0WAVE", b"GIF89a"])
def test_files_that_are_no_film(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(FilmError, match=r"film\.mp4: ") as caught:
        Clip(path)
    assert "\n" not in str(caught.value)


def test_a_film_without_pictures(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as film:
        stream = film.add_stream("flac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), format="s16", layout="mono")
        frame.rate = 44100
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    with pytest.raises(FilmError, match="has no pictures"):
        Clip(tmp_path / "a.mkv")


def outcome(path: Path) -> int | str:
    """Return the number of frames, or the reason why there are none."""
    try:
        return sum(shot.pixels.ndim == 3 for shot in Clip(path).shots())
    except FilmError as error:
        return str(error)


def one_line(found: int | str) -> bool:
    return isinstance(found, str) and "\n" not in found and found.isprintable()


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_film_cut_short_is_one_line_or_fewer_frames(part: float, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.panned(8), sound=None)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    found = outcome(path)
    assert found in range(1, 9) or one_line(found)
    # An MP4 has the description of its frames at its end.
    path = clips.write(tmp_path / "a.mp4", clips.panned(8), sound=None)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FilmError, match=r"a\.mp4: cannot be read"):
        Clip(path)


@pytest.mark.parametrize(
    ("name", "codec", "said"),
    [
        ("a.mkv", "libx264", "of 30 frames are there"),
        ("a.webm", "libvpx", "of 30 frames are there"),
        ("a.avi", "mpeg4", "of 30 frames are there"),
        ("a.mp4", "libx264", "of 30 frames are there"),
        ("a.gif", "gif", "frames are there"),
    ],
)
def test_a_film_cut_short_says_how_many_frames_are_there(name: str, codec: str, said: str, tmp_path: Path) -> None:
    path = clips.write(tmp_path / name, clips.panned(30), codec=codec, sound=None, options={"movflags": "faststart"})
    assert Clip(path).notes == ()
    data = path.read_bytes()
    for part in (0.75, 0.95):
        path.write_bytes(data[: int(part * len(data))])
        clip = Clip(path)
        count = len(list(clip.shots()))
        assert 0 < count < 30
        assert clip.frames == count
        assert clip.notes == (f"{path}: its end is missing; {count} {said}",)


def test_a_film_of_which_too_little_is_there(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(8), sound=None)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FilmError) as caught:
        Clip(path)
    assert str(caught.value).endswith("; its end is missing, so get the whole file")


def test_a_damaged_frame_is_passed_over(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(6), sound=None)
    clips.damage(path)
    clip = Clip(path)
    before = clip.damage
    assert before == ()
    for _ in range(2):
        assert len(list(clip.shots())) == 5
        assert clip.damage == (f"{path}: 1 frame is damaged and was passed over",)


def test_the_last_frame_has_its_time(tmp_path: Path) -> None:
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in clips.panned(3)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 40, 900])
    clip = Clip(tmp_path / "a.gif")
    assert ([shot.time for shot in clip.shots()], clip.end) == (
        [0, Fraction(1, 10), Fraction(14, 100)],
        Fraction(104, 100),
    )


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    clips.write(tmp_path / "a.mp4", clips.panned(3))
    for kinds in (("audio",), ("video", "audio")):
        with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.mp4"), "w") as film:
            into = {stream: film.add_stream_from_template(stream) for stream in source.streams if stream.type in kinds}
            cover: Any = film.add_stream("png")
            cover.height, cover.width, cover.pix_fmt = 8, 8, "rgb24"
            cover.disposition = Disposition.attached_pic
            film.mux(cover.encode(av.VideoFrame.from_ndarray(clips.texture(8, 8), format="rgb24")))
            for packet in source.demux(*into):
                if packet.size:
                    packet.stream = into[packet.stream]
                    film.mux(packet)
        if "video" in kinds:
            clip = Clip(tmp_path / "b.mp4")
            assert (clip.height, clip.width, clip.frames, clip.notes) == (48, 64, 3, ())
        else:
            with pytest.raises(FilmError, match="has no pictures that move"):
                Clip(tmp_path / "b.mp4")


def test_interlaced_pictures_have_a_note(tmp_path: Path) -> None:
    path = clips.write(
        tmp_path / "a.avi", clips.panned(3, 64, 64), codec="mpeg2video", sound=None, options={"flags": "+ilme+ildct"}
    )
    (note,) = Clip(path).notes
    assert note.startswith(f"{path}: is interlaced: what moves has a comb at its edges")


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_film_is_one_line_or_fewer_frames(seed: int, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(4))
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    generator = np.random.default_rng(seed)
    where = generator.integers(0, len(data), 40)
    data[where] = generator.integers(0, 256, 40)
    path.write_bytes(data.tobytes())
    found = outcome(path)
    assert found in range(1, 5) or one_line(found)


def declared(path: Path, width: int, height: int) -> Path:
    """The same video with another size in the description of its codec."""
    data = bytearray(path.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 4 + 24
    data[at : at + 4] = struct.pack(">HH", width, height)
    path.write_bytes(data)
    return path


def test_limits(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(6))
    for limits, message in {
        FilmLimits(max_pixels=48 * 63): "3,072 pixels a frame are over the limit of 3,024",
        FilmLimits(max_side=63): "64 pixels a side",
        FilmLimits(max_file_bytes=1000): "bytes are over the limit of 1,000",
        FilmLimits(max_seconds=0.3): "seconds are over the limit",
        FilmLimits(max_frames=5): "6 frames are over the limit of 5",
        FilmLimits(max_streams=1): "has 2 streams",
    }.items():
        with pytest.raises(FilmError, match=message):
            Clip(path, limits)


def test_frames_larger_than_declared(tmp_path: Path) -> None:
    path = declared(clips.write(tmp_path / "a.mp4", clips.panned(6)), 16, 16)
    with pytest.raises(FilmError, match=r"a\.mp4: "):
        Clip(path, FilmLimits(max_pixels=48 * 63))


def test_more_frames_than_declared(tmp_path: Path) -> None:
    # Matroska declares no number of frames.
    path = clips.write(tmp_path / "a.mkv", clips.panned(6), sound=None)
    clip = Clip(path)
    few = Clip(path, FilmLimits(max_frames=clip.frames or 6))
    object.__setattr__(few, "_limits", FilmLimits(max_frames=3))
    with pytest.raises(FilmError, match="4 frames are over the limit of 3"):
        list(few.shots())


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(FilmError, match="not a regular file"):
        Clip(tmp_path / "pipe.mp4")
    with pytest.raises(FilmError, match="cannot be read"):
        Clip(tmp_path / "nothing.mp4")


def test_a_rare_codec_is_refused(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.avi", clips.panned(2), codec="huffyuv", sound=None)
    with pytest.raises(FilmError, match="its codec is huffyuv"):
        Clip(path)
