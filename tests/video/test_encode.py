"""A painted video is as long as its clip, for any times of the frames."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from impasto.video import encode
from impasto.video.clip import Clip
from tests.video import clips


def held(path: Path) -> Path:
    """A GIF that shows its last picture for a second."""
    pictures = [Image.fromarray(frame) for frame in clips.panned(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 500, 40, 1000])
    return path


def varying(path: Path) -> Path:
    """A video whose frames have different durations, the last the longest."""
    times = [0, 20, 50, 150, 160]
    clock = Fraction(1, 600)
    return clips.write(path, clips.panned(5), times=times, last=240, clock=clock, options={"bf": "0"})


def moved(path: Path, seconds: float) -> Path:
    """A video whose times start later than 0, or before 0, which an edit list cuts off."""
    whole = str(clips.write(path.with_name("whole.mp4"), clips.panned(12)))
    with av.open(whole) as source, av.open(str(path), "w") as film:
        into = {stream: film.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size and packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                shift = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = into[packet.stream]
                film.mux(packet)
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.gif", held),
        ("a.mp4", varying),
        ("a.mkv", lambda path: clips.write(path, clips.panned(12), sound=None)),
        ("a.mp4", lambda path: moved(path, 0.5)),
        ("a.mp4", lambda path: moved(path, -0.35)),
    ],
    ids=["held", "varying", "matroska", "late", "edited"],
)
def test_a_film_is_as_long_as_its_clip(name: str, make: Callable[[Path], Path], ending: str, tmp_path: Path) -> None:
    clip = Clip(make(tmp_path / name))
    store = clips.store_frames(clip, tmp_path / "frames")
    out = tmp_path / f"out{ending}"
    encode.write(out, clip, store, store.count, 65)
    painted = Clip(out)
    start, beginning = (next(film.shots()).time for film in (clip, painted))
    assert float(painted.end - beginning) == pytest.approx(float(clip.end - start), abs=0.0021)
    times, expected = ([float(shot.time) for shot in film.shots()] for film in (painted, clip))
    assert [time - times[0] for time in times] == pytest.approx([time - expected[0] for time in expected], abs=0.0021)
    # In Matroska all times are later by the AAC packet before the sound, and the time before a late start counts.
    late = float(start) if ending == ".mkv" else 0
    assert clips.seconds(out) == pytest.approx(clips.seconds(clip.path) + late, abs=0.05)


def test_of_a_clip_without_the_last_frame_s_time_it_is_known_from_the_whole(tmp_path: Path) -> None:
    clip = Clip(held(tmp_path / "a.gif"))
    encode.write(tmp_path / "a.mkv", clip, clips.store_frames(clip, tmp_path / "frames"), 4, 65)
    clip = Clip(tmp_path / "a.mkv")
    assert float(clip.end) == pytest.approx(1.64)
    encode.write(tmp_path / "out.mp4", clip, clips.store_frames(clip, tmp_path / "more"), 4, 65)
    assert clips.seconds(tmp_path / "out.mp4") == pytest.approx(1.64, abs=0.002)


def test_a_damaged_clip_becomes_a_film_of_the_other_frames(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(6))
    clips.damage(path)
    clip = Clip(path)
    encode.write(tmp_path / "out.mp4", clip, clips.store_frames(clip, tmp_path / "frames"), 5, 65)
    assert len(list(Clip(tmp_path / "out.mp4").shots())) == 5
    assert clips.seconds(tmp_path / "out.mp4") == pytest.approx(0.6, abs=0.03)
