"""Painted videos: frames that start from the previous one, are kept, and are encoded; small network, 64 pixels."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from impasto.engine.objective import Objective
from impasto.errors import FilmError, OutputError, RecipeError, UsageError
from impasto.jobs.job import Job
from impasto.losses.temporal import Temporal
from impasto.picture import Picture
from impasto.recipe import Compute, Inputs, Recipe, presets
from impasto.vgg import network
from impasto.vgg.network import VGG
from impasto.video import encode
from impasto.video.clip import Clip
from impasto.video.events import FilmEvent, FilmFinished, FramePainted
from impasto.video.frames import FrameStore
from impasto.video.render import VideoRun
from impasto.video.settings import FilmSettings
from tests.video import clips


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> Recipe:
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    found = presets.get("default").with_layers("content", "relu4_1")
    return found.replace(size=64, start_size=32, steps=(8, 6))


@pytest.fixture
def film(recipe: Recipe, picture: Callable[..., Picture]) -> Callable[..., VideoRun]:
    style = picture(40, 30, 2)

    def make(path: Path, until: float | None = None, **settings: Any) -> VideoRun:
        changed = FilmSettings(**{"frame_steps": 3, **settings})
        return VideoRun(Clip(path), Job(Inputs.of(style, [style]), recipe, compute=Compute("cpu")), changed, until)

    return make


def paint_film(film: VideoRun, folder: Path) -> tuple[list[np.ndarray], list[FilmEvent], FrameStore]:
    ledger = FrameStore(folder, film.identity)
    events = list(film.paint(ledger))
    frames = [ledger.frame(index) for index in range(ledger.count)]
    return [frame for frame in frames if frame is not None], events, ledger


def test_it_flickers_less_than_its_frames_painted_one_by_one(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    # Noise makes frames that are painted singly differ.
    generator = np.random.default_rng(3)
    frames = [
        np.clip(frame + generator.normal(0, 10, frame.shape), 0, 255).astype(np.uint8) for frame in clips.panned(6)
    ]
    path = clips.write(tmp_path / "a.mp4", frames)
    together, apart = film(path), film(path, cut=1e-9)
    *_, end = paint_film(together, tmp_path / "together")[1]
    assert isinstance(end, FilmFinished)
    assert (end.frames, end.scenes) == (6, 1)
    single, _, _ = paint_film(apart, tmp_path / "apart")
    shimmer = type(together.shimmer)()
    from impasto.video.flow import motion
    from impasto.video.render import _image

    shots = [shot.pixels for shot in Clip(path).shots()]
    for index in range(1, 6):
        pairs = [(_image(of[index]), _image(of[index - 1])) for of in (single, shots)]
        shimmer.add(motion(shots[index], shots[index - 1]), pairs[0], pairs[1])
    assert end.shimmer <= 0.5 * shimmer.of_painted, (end.shimmer, shimmer.of_painted)


def test_a_scene_cut_begins_anew(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", [*clips.panned(3, seed=1), *clips.panned(3, seed=2)])
    _, events, _ = paint_film(film(path), tmp_path / "frames")
    assert [event.opening for event in events if isinstance(event, FramePainted)] == [True, False, False] * 2
    assert isinstance(events[-1], FilmFinished)
    assert events[-1].scenes == 2


def test_what_was_hidden_comes_back_as_it_was(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    ground, layer = clips.texture(48, 64, 1), clips.texture(24, 16, 2)
    frames = []
    for left in (0, 12, 24, 36):
        frame = ground.copy()
        frame[12:36, left : left + 16] = layer
        frames.append(frame)
    path = clips.write(tmp_path / "a.mp4", [ground, *frames])
    uncertain = {}
    for lags in ((1,), (1, 2, 3, 4)):
        _, events, _ = paint_film(film(path, long_term=lags), tmp_path / f"frames{len(lags)}")
        uncertain[lags] = [event.uncertain for event in events if isinstance(event, FramePainted)][3:]
    assert sum(uncertain[1, 2, 3, 4]) < 0.8 * sum(uncertain[1,])


def test_kept_frames_are_not_painted_again(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(6))
    whole, _, _ = paint_film(film(path), tmp_path / "whole")
    folder = tmp_path / "parts"
    first = film(path)
    ledger = FrameStore(folder, first.identity)
    events = first.paint(ledger)
    for _ in range(4):
        next(events)
    events.close()
    ledger.close()
    # A frame that a full disk has damaged is painted again too.
    (folder / "frame-000002.png").write_bytes(b"not a picture")
    parts, again, _ = paint_film(film(path), folder)
    kept = [event.kept for event in again if isinstance(event, FramePainted)]
    assert kept == [True, False, True, False, False, False]
    assert [part.tobytes() for part in parts] == [frame.tobytes() for frame in whole]


def test_frames_of_another_film_are_not_taken(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(2))
    _, _, ledger = paint_film(film(path), tmp_path / "frames")
    ledger.close()
    other = film(path, temporal_weight=7.0)
    with pytest.raises(OutputError, match="frames of another clip, style or recipe"):
        FrameStore(tmp_path / "frames", other.identity)
    assert FrameStore(tmp_path / "frames", other.identity, force=True).count == 0


def test_times_and_sound_are_the_clip_s(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    # Variable times, in units of 1/600 s.
    times = [0, 20, 50, 150, 160, 290]
    path = clips.write(tmp_path / "a.mp4", clips.panned(6), times=times, clock=Fraction(1, 600))
    filming = film(path)
    _, _, ledger = paint_film(filming, tmp_path / "frames")
    for name, slack in (("out.mp4", 0), ("out.mov", 0), ("out.mkv", Fraction(1, 1000))):
        found = encode.write(tmp_path / name, filming.clip, ledger, 6, 65)
        assert found.sound == ("aac",)
        shots = list(Clip(tmp_path / name).shots())
        # Matroska has no times before 0, where AAC begins, so all times of sound and pictures are later.
        late = shots[0].time if name == "out.mkv" else 0
        assert late < Fraction(3, 100)
        for shot, time in zip(shots, times, strict=True):
            assert abs(shot.time - late - Fraction(time, 600)) <= slack
        assert clips.sound_packets(tmp_path / name) == clips.sound_packets(path)


def test_colours_are_the_painted_ones(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(2))
    filming = film(path)
    frames, _, ledger = paint_film(filming, tmp_path / "frames")
    encode.write(tmp_path / "out.mp4", filming.clip, ledger, 2, 100)
    for shot, frame in zip(Clip(tmp_path / "out.mp4").shots(), frames, strict=True):
        assert np.abs(shot.pixels.mean((0, 1)) - frame.mean((0, 1))).max() < 2


def test_quality(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(4), sound=None)
    filming = film(path)
    _, _, ledger = paint_film(filming, tmp_path / "frames")
    for encoders in (encode.ENCODERS, {"mpeg4": (31, 1)}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encode, "ENCODERS", encoders)
            codec = encode.write(tmp_path / "low.mp4", filming.clip, ledger, 4, 5).codec
            encode.write(tmp_path / "high.mp4", filming.clip, ledger, 4, 95)
        assert codec == next(iter(encoders))
        low, high = ((tmp_path / name).stat().st_size for name in ("low.mp4", "high.mp4"))
        assert low < 0.7 * high


def test_the_first_seconds(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(6))
    filming = film(path, until=0.25)
    frames, _, ledger = paint_film(filming, tmp_path / "frames")
    assert (len(frames), filming.frames) == (3, 3)
    encode.write(tmp_path / "out.mp4", filming.clip, ledger, 3, 65)
    with av.open(str(tmp_path / "out.mp4")) as film_file:
        assert film_file.duration is not None
        assert [len(list(Clip(tmp_path / "out.mp4").shots())), film_file.duration / av.time_base < 0.4] == [3, True]


def test_odd_sides_are_cut(film: Callable[..., VideoRun], recipe: Recipe, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(1, 46, 62))
    filming = VideoRun(
        Clip(path), Job(Inputs.of(style_picture(), [style_picture()]), recipe.replace(size=63)), FilmSettings()
    )
    assert (filming.height, filming.width) == (46, 62)
    assert filming.notes == ("63x47 becomes 62x46: the encoder takes even sides only",)
    assert film(clips.write(tmp_path / "b.mp4", clips.panned(1))).notes == ()


def style_picture() -> Picture:
    return Picture(np.full((3, 16, 16), 0.5, np.float32))


def test_nothing_is_left_of_a_film_that_cannot_be_written(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(2))
    filming = film(path)
    _, _, ledger = paint_film(filming, tmp_path / "frames")
    (tmp_path / "out.mp4").write_bytes(b"old")
    (tmp_path / "frames" / "frame-000002.png").write_bytes(b"")
    with pytest.raises(FilmError, match="frame 2 is missing or damaged"):
        encode.write(tmp_path / "out.mp4", filming.clip, ledger, 2, 65)
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert not list(tmp_path.glob(".impasto-*"))


def test_what_would_flicker_is_refused(film: Callable[..., VideoRun], recipe: Recipe, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(2))
    with pytest.raises(UsageError, match="would flicker"):
        VideoRun(
            Clip(path),
            Job(Inputs.of(style_picture(), [style_picture()]), recipe.replace(colors="content")),
            FilmSettings(),
        )
    with pytest.raises(RecipeError, match="long_term is 65"):
        FilmSettings(long_term=(1, 65))


def test_the_temporal_loss(recipe: Recipe, small_network: Callable[..., VGG]) -> None:
    generator = torch.Generator().manual_seed(0)
    image, earlier = (torch.rand(1, 3, 16, 16, generator=generator) for _ in range(2))
    certain = torch.zeros(1, 1, 16, 16)
    certain[..., :8] = 1
    loss = Temporal(earlier, certain)
    by_hand = ((image - earlier)[..., :8] ** 2).sum() / (3 * 16 * 16)
    torch.testing.assert_close(loss.value(image, loss.target(image)), by_hand)
    assert loss.value(earlier, loss.target(image)) == 0
    double = [tensor.double() for tensor in (image, earlier, certain)]
    exact = Temporal(double[1], double[2])
    assert torch.autograd.gradcheck(lambda x: exact.value(x, double[1]), double[0].requires_grad_())
    # In an objective it is one more term, with and without tiles.
    style = [(torch.rand(1, 3, 20, 20, generator=generator), 1.0)]
    network = small_network()
    found = Objective(network, recipe, image, style, temporal=(loss, 5.0)).evaluate(image)
    without = Objective(network, recipe, image, style).evaluate(image)
    assert found.terms["temporal"] == pytest.approx(5 * by_hand.item(), rel=1e-5)
    assert found.loss == pytest.approx(without.loss + found.terms["temporal"], rel=1e-4)
    tiled = Objective(network, recipe, image, style, 8, temporal=(loss, 5.0)).evaluate(image)
    torch.testing.assert_close(tiled.gradient, found.gradient, rtol=1e-3, atol=1e-6)


def test_no_place_is_copied(film: Callable[..., VideoRun], tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.panned(1))
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as placed:
        placed.metadata["location"] = "+47.1+008.2/"
        stream = placed.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                placed.mux(packet)
    assert b"+47.1+008.2/" in (tmp_path / "b.mkv").read_bytes()
    filming = film(tmp_path / "b.mkv")
    _, _, ledger = paint_film(filming, tmp_path / "frames")
    encode.write(tmp_path / "out.mkv", filming.clip, ledger, 1, 65)
    assert b"+47.1+008.2/" not in (tmp_path / "out.mkv").read_bytes()
