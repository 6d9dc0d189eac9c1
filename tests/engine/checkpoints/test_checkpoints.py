"""A run that is interrupted after any step and resumed gives the same picture, bit for bit, as an uninterrupted one."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import impasto
from impasto.engine import devices, networks
from impasto.engine.checkpoints import Checkpoints, Folder, document, folder
from impasto.engine.objective import Evaluation, Objective
from impasto.engine.run import Run
from impasto.engine.scene import PreviousFrame, Scene
from impasto.errors import CheckpointError, ImpastoError, OutputError, UsageError
from impasto.jobs import resume
from impasto.jobs.job import Job, texture_job
from impasto.picture import Picture
from impasto.recipe import LBFGS, Adam, Compute, Inputs, Recipe, Style, pair_styles
from impasto.recipe.terms import Content, MeanCovariance, TotalVariation
from impasto.reports.events import Checkpointed, CheckpointFailed, Finished, ScaleStarted, Started, Stepped
from impasto.vgg import network
from impasto.vgg.network import VGG

TERMS = 0.1 * Content("relu4_1") + MeanCovariance() + 0.1 * TotalVariation()
RECIPE = Recipe(size=32, start_size=16, steps=(4, 3), terms=TERMS)
NEVER = 1e9  # seconds


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


@pytest.fixture
def pictures(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photo.png, a.png, b.png and first.png, which is the working directory."""
    picture(24, 32, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "a.png")
    picture(30, 30, 3).save(tmp_path / "b.png")
    picture(24, 32, 4).save(tmp_path / "first.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(
    recipe: Recipe = RECIPE, styles: Sequence[str | Style[str]] = ("a.png",), start: str | None = None, **settings: Any
) -> Job:
    return Job(Inputs.of("photo.png", styles, start=start), recipe, compute=Compute("cpu"), **settings)


def finish(run: Run) -> tuple[np.ndarray[Any, Any], Finished]:
    *_, last = run
    assert isinstance(last, Finished)
    return run.picture().pixels, last


def stop_after(step: int, asked: Job, where: str = "kept") -> None:
    """Start a job, and end it with a checkpoint after `step` steps, counted over all scales."""
    run = dataclasses.replace(asked, checkpoint=Checkpoints(where, every=NEVER, replace=True)).start()
    for event in run:
        if isinstance(event, Stepped) and run.steps_done == step:
            assert isinstance(run.checkpoint(), Checkpointed)
            break
    run.close()
    assert run.checkpoint_writer is not None
    run.checkpoint_writer.folder.close()


def release(run: Run) -> None:
    assert run.checkpoint_writer is not None
    run.checkpoint_writer.folder.close()


VARIANTS: dict[str, tuple[Recipe, dict[str, Any]]] = {
    "lbfgs": (RECIPE, {}),
    "lbfgs, free": (RECIPE.replace(bounds="free"), {}),
    "free": (RECIPE.replace(bounds="free"), {}),
    "lbfgs, long steps": (RECIPE.replace(optimizer=LBFGS(first_step=0.5, max_step=0.9)), {}),
    "adam": (RECIPE.replace(optimizer=Adam()), {}),
    "adam, free": (RECIPE.replace(optimizer=Adam(learning_rate=0.2), bounds="free"), {}),
    "margin and detail": (RECIPE.replace(margin=0.1, detail=0.5), {}),
    "two styles": (RECIPE, {"styles": [Style("a.png", 0.7), Style("b.png", 0.31)]}),
    "noise": (RECIPE.replace(init="noise", seed=3, steps=(5,), optimizer=LBFGS(history=2)), {}),
    "from a picture": (RECIPE, {"start": "first.png"}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_an_interruption_after_any_step_changes_nothing(name: str, pictures: Path) -> None:
    recipe, settings = VARIANTS[name]
    asked = job(recipe, **settings)
    whole = asked.start()
    events = list(whole)
    expected = whole.picture()
    said = [event for event in events if isinstance(event, Stepped)]
    for step in range(1, len(said) + 1):
        stop_after(step, asked, f"kept {step}")
        run = impasto.resume(f"kept {step}")
        assert run.has_image  # there is a picture before the first step
        again = list(run)
        assert isinstance(again[0], Started)
        assert again[1] == [event for event in events if isinstance(event, ScaleStarted)][run_scale(said[step - 1])]
        told = [event for event in again if isinstance(event, Stepped)]
        assert [(e.scale, e.step, e.loss, e.terms) for e in told] == [
            (e.scale, e.step, e.loss, e.terms) for e in said[step:]
        ]
        np.testing.assert_array_equal(run.picture().pixels, expected.pixels)
        end, expected_end = again[-1], events[-1]
        assert isinstance(end, Finished)
        assert isinstance(expected_end, Finished)
        assert end.loss == expected_end.loss
        assert end.seconds > 0
        assert run.picture().remembered == expected.remembered
        release(run)


def run_scale(event: Stepped) -> int:
    return event.scale


@pytest.mark.parametrize("optimizer", [LBFGS(), Adam()])
def test_in_tiles(optimizer: LBFGS | Adam, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.engine import planning
    from impasto.engine.planning import Plan

    monkeypatch.setattr(planning, "choose", lambda recipe, canvas, limit: Plan(16, 3, 1000))
    asked = job(RECIPE.replace(optimizer=optimizer))
    expected, _ = finish(asked.start())
    stop_after(6, asked)
    # The plan comes from the checkpoint, however much memory there is now.
    monkeypatch.setattr(planning, "choose", lambda recipe, canvas, limit: Plan(None, 8, 1000))
    run = impasto.resume("kept")
    assert [plan.tile for plan in run.plans] == [16, 16]
    np.testing.assert_array_equal(finish(run)[0], expected)


def test_interrupted_again_and_again(pictures: Path) -> None:
    expected, _ = finish(job().start())
    stop_after(1, job())
    for step in range(2, 8):
        run = impasto.resume("kept", every=NEVER)
        for event in run:
            if isinstance(event, Stepped):
                assert run.steps_done == step
                said = run.checkpoint()
                assert isinstance(said, Checkpointed)
                break
        run.close()
        release(run)
    np.testing.assert_array_equal(finish(impasto.resume("kept"))[0], expected)


def test_steps_that_led_astray_are_remembered(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a loss is not a number, the run goes back to its best image, with smaller steps and no history."""
    evaluate = Objective.evaluate
    bad = 0

    def poisoned(self: Objective, image: torch.Tensor, *, gradient: bool = True) -> Evaluation:
        nonlocal bad
        found = evaluate(self, image, gradient=gradient)
        # Depends on the image only, so a resumed run gets the same losses.
        if gradient and int(image.sum().item() * 1e4) % 9 == 4:
            bad += 1
            return Evaluation(found.labels, found.numbers * math.nan, found.gradient)
        return found

    monkeypatch.setattr(Objective, "evaluate", poisoned)
    recipe = RECIPE.replace(steps=(8,))
    expected, _ = finish(job(recipe).start())
    assert bad > 0
    for step in range(1, 17):
        stop_after(step, job(recipe), f"kept {step}")
        np.testing.assert_array_equal(finish(impasto.resume(f"kept {step}"))[0], expected)


def test_on_devices_that_take_several_steps_at_once(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "steps_per_wait", lambda device, is_captured: 3)
    recipe = RECIPE.replace(steps=(8,))
    expected, _ = finish(job(recipe).start())
    for step in (1, 2, 3, 4, 7, 8, 9, 12, 16):
        stop_after(step, job(recipe), f"kept {step}")
        np.testing.assert_array_equal(finish(impasto.resume(f"kept {step}"))[0], expected)


def test_more_steps_are_those_of_a_longer_run(pictures: Path) -> None:
    # So many steps that the history of L-BFGS is full in both runs.
    short, long = (RECIPE.replace(steps=steps, optimizer=LBFGS(history=3)) for steps in ((4, 3), (4, 9)))
    expected, _ = finish(job(long).start())
    stop_after(6, job(short), "unfinished")
    np.testing.assert_array_equal(finish(impasto.resume("unfinished", steps=(4, 9)))[0], expected)
    run = job(short, checkpoint="finished").start()
    before, _ = finish(run)
    release(run)
    # A finished run gives the same picture again if nothing is changed, and continues if it gets more steps.
    run = impasto.resume("finished")
    np.testing.assert_array_equal(finish(run)[0], before)
    release(run)
    np.testing.assert_array_equal(finish(impasto.resume("finished", steps=(4, 9)))[0], expected)


def test_other_weights_steer_from_here(pictures: Path) -> None:
    stop_after(5, job())
    run = impasto.resume("kept", smoothness=50.0, steps=(4, 12))
    before = run.picture().pixels
    events = [event for event in run if isinstance(event, Stepped)]
    assert [(event.scale, event.step) for event in events] == [(1, step) for step in range(2, 13)]
    # The first image is the painted one, evaluated with the new weights.
    roughness = sum(float((np.diff(before, axis=axis) ** 2).mean()) for axis in (1, 2))
    assert events[0].terms["smoothness"] == pytest.approx(5 * roughness, rel=1e-4)
    assert events[-1].loss < 0.5 * events[0].loss
    assert run.recipe.smoothness == 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 64}, "--size cannot change"),
        ({"margin": 0.1}, "--margin cannot change"),
        ({"init": "noise"}, "--init cannot change"),
        ({"stepss": 3}, "did you mean 'steps'"),
        ({"steps": (0,)}, "at least 1"),
        ({"style": ["a.png", "b.png"]}, "was started with 1"),
        ({"style": "b.png"}, "another picture"),
        ({"content": "a.png"}, "another picture"),
        ({"device": "gpu"}, "choose"),
    ],
)
def test_what_cannot_change_is_refused(changes: dict[str, Any], message: str, pictures: Path) -> None:
    stop_after(3, job())
    with pytest.raises(ImpastoError, match=message) as caught:
        impasto.resume("kept", **changes)
    assert "\n" not in str(caught.value)
    impasto.resume("kept")  # the folder is free again


def test_a_finished_run_takes_no_other_weights_without_more_steps(pictures: Path) -> None:
    run = job(checkpoint="kept").start()
    finish(run)
    release(run)
    with pytest.raises(UsageError, match="more with --steps"):
        impasto.resume("kept", content_weight=2.0)
    finish(impasto.resume("kept", content_weight=2.0, steps=(4, 5)))


def test_pictures_are_found_where_they_were_or_where_the_folder_is_or_where_one_says(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = finish(job().start())
    stop_after(2, job())
    monkeypatch.chdir("/")
    run = impasto.resume(pictures / "kept")
    np.testing.assert_array_equal(finish(run)[0], expected)
    release(run)
    monkeypatch.chdir(pictures)
    # The folder and all pictures were moved together.
    Path("moved").mkdir()
    for name in ("photo.png", "a.png", "kept"):
        Path(name).rename(Path("moved") / name)
    run = impasto.resume("moved/kept")
    np.testing.assert_array_equal(finish(run)[0], expected)
    release(run)
    Path("moved/photo.png").rename("elsewhere.png")
    with pytest.raises(CheckpointError, match=r"photo\.png: is not there any more; say with --content") as caught:
        impasto.resume("moved/kept")
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(finish(impasto.resume("moved/kept", content="elsewhere.png"))[0], expected)


def test_a_picture_that_changed_is_refused(pictures: Path, picture: Callable[..., Picture]) -> None:
    stop_after(2, job())
    Path("a.png").rename("kept.png")
    picture(40, 30, 9).save("a.png")
    with pytest.raises(CheckpointError, match=r"a\.png: is another picture .*the file has changed"):
        impasto.resume("kept")
    Path("a.png").write_bytes(b"no picture")
    with pytest.raises(CheckpointError, match="--style"):
        impasto.resume("kept")
    finish(impasto.resume("kept", style="kept.png"))


def test_pictures_from_memory_are_given_again(pictures: Path, picture: Callable[..., Picture]) -> None:
    photo, style = picture(24, 32, 1), picture(40, 30, 2)
    asked = Job(Inputs.of(photo, [style]), RECIPE, compute=Compute("cpu"))
    expected, _ = finish(asked.start())
    stop_after(5, asked)
    with pytest.raises(CheckpointError, match="came from no file"):
        impasto.resume("kept")
    np.testing.assert_array_equal(finish(impasto.resume("kept", content=photo, style=[style]))[0], expected)


def test_a_picture_changed_after_it_was_read_is_not_taken_for_its_file(pictures: Path) -> None:
    from impasto.picture import read_picture

    photo = read_picture("photo.png")
    darker = dataclasses.replace(photo, pixels=photo.pixels / np.float32(2))
    stop_after(5, Job(Inputs.of(darker, ["a.png"]), RECIPE, compute=Compute("cpu")))
    with pytest.raises(CheckpointError, match="its pixels were others"):
        impasto.resume("kept")
    finish(impasto.resume("kept", content=darker))


def test_textures(pictures: Path) -> None:
    asked = texture_job([Style("a.png")], 20, 32, RECIPE, seamless=True, compute=Compute("cpu"))
    expected, _ = finish(asked.start())
    stop_after(6, asked)
    np.testing.assert_array_equal(finish(impasto.resume("kept"))[0], expected)


def test_the_kept_table_has_everything_a_scene_and_a_job_have(pictures: Path) -> None:
    """A new field needs code in `checkpoints.document` that stores it; then add it here."""
    # A frame of a video has a previous one, and keeps no checkpoints.
    for record, names in (
        (Scene, {"inputs", "recipe", "device", "masks", "previous_frame"}),
        (Job, {"inputs", "recipe", "compute", "previous_frame", "checkpoint"}),
        (Inputs, {"photo", "styles", "start", "content_mask", "protect"}),
        (Style, {"picture", "weight", "mask", "scale", "part"}),
        (Compute, {"device", "max_memory", "precision"}),
    ):
        assert {field.name for field in dataclasses.fields(record)} == names


def test_a_frame_of_a_film_keeps_none(pictures: Path) -> None:
    """The previous frame is not stored, so a resumed frame would be another picture."""
    earlier = PreviousFrame(Picture(np.zeros((3, 24, 32), np.float32)), np.ones((24, 32), np.float32), 1.0)
    with pytest.raises(UsageError, match="a frame of a film keeps no checkpoints"):
        job(checkpoint="kept", previous_frame=earlier).start()
    assert not Path("kept").exists()


def test_masks_scales_and_parts_are_taken_up_again(pictures: Path) -> None:
    white = np.zeros((3, 24, 32), np.float32)
    white[:, :, 16:] = 1
    Picture(white).save("mask.png")
    Picture(white[:, :, ::-1].copy()).save("kept.png")
    styles = pair_styles(["a.png", "b.png"], scales=(1.0, 0.5), parts=("fine", "all"))
    asked = Job(
        Inputs("photo.png", styles, content_mask="mask.png", protect="kept.png"), RECIPE, compute=Compute("cpu")
    )
    expected, _ = finish(asked.start())
    assert not np.array_equal(
        expected, finish(Job(Inputs.of("photo.png", ["a.png", "b.png"]), RECIPE, compute=Compute("cpu")).start())[0]
    )
    stop_after(5, asked)
    np.testing.assert_array_equal(finish(impasto.resume("kept"))[0], expected)
    Picture(1 - white).save("mask.png", force=True)
    stop_after(5, asked)
    Picture(white).save("mask.png", force=True)
    with pytest.raises(CheckpointError, match="is another picture than the run was started with"):
        impasto.resume("kept")


def test_pictures_that_come_from_no_file_are_given_again(pictures: Path) -> None:
    white = np.zeros((3, 24, 32), np.float32)
    white[:, :, 16:] = 1
    square = Picture(white[:, :, :24].copy())
    masks: dict[str, Any] = {"content_mask": Picture(white), "protect": Picture(white[:, :, ::-1].copy())}
    inputs = Inputs("photo.png", pair_styles(["a.png", "b.png"], masks=[None, square]), **masks)
    asked = Job(inputs, RECIPE, compute=Compute("cpu"))
    expected, _ = finish(asked.start())
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "give the picture with --content-mask"),
        ({**masks}, "give the picture with --style-mask"),
        ({**masks, "style_masks": [square]}, "1 style masks, and the run was started with 2"),
        (
            {**masks, "style_masks": [None, Picture(1 - square.pixels)]},
            "is another picture than the run was started with",
        ),
    ]
    for given, message in cases:
        stop_after(5, asked)
        with pytest.raises((CheckpointError, UsageError), match=message):
            impasto.resume("kept", **given)
    run = impasto.resume("kept", **masks, style_masks=[None, square])
    np.testing.assert_array_equal(finish(run)[0], expected)


def test_checkpoints_are_written_when_they_are_due(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("impasto.engine.checkpoints.writer.time.monotonic", lambda: clock[0])
    cost = [0.1]
    write = Folder.write

    def slow(self: Folder, *arguments: Any) -> None:
        clock[0] += cost[0]
        write(self, *arguments)

    monkeypatch.setattr(Folder, "write", slow)
    run = job(RECIPE.replace(steps=(40,)), checkpoint=Checkpoints("kept", every=10)).start()
    times = []
    for event in run:
        if isinstance(event, Stepped):
            clock[0] += 1
            cost[0] = 0.1 if event.scale == 0 else 0.5
        if isinstance(event, Checkpointed):
            times.append(round(clock[0], 1))
    # Every 10 s while writing takes 0.1 s, every 25 s or more when it takes 0.5 s. The last one is written at the end.
    assert times[:5] == [10.1, 20.2, 30.3, 40.4, 50.9]
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(times[4:-1]))
    assert len(times) == 7


def test_a_checkpoint_that_cannot_be_written_is_said_once_and_the_older_one_stays(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = job(checkpoint=Checkpoints("kept", every=0)).start()
    expected, _ = finish(job().start())
    events = []
    for event in run:
        events.append(event)
        if isinstance(event, Stepped) and run.steps_done == 2:
            assert isinstance(run.checkpoint(), Checkpointed)

            def full(*arguments: Any) -> str:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr("impasto.engine.checkpoints.container.write", full)
            monkeypatch.setattr("impasto.engine.checkpoints.writer._SHARE", 0)
    failures = [event for event in events if isinstance(event, CheckpointFailed)]
    assert [(event.folder, event.reason) for event in failures] == [("kept", "No space left on device")]
    np.testing.assert_array_equal(run.picture().pixels, expected)
    release(run)
    monkeypatch.undo()
    monkeypatch.chdir(pictures)
    saved = Folder("kept", create=False)
    assert saved.read().table["position"]["done"] == 2
    saved.close()


def test_between_steps_only(pictures: Path) -> None:
    run = job().start()
    with pytest.raises(UsageError, match="between two steps"):
        run.checkpoint()
    run = job(checkpoint="kept").start()
    for event in run:
        if isinstance(event, ScaleStarted):
            assert not run.resumable
            with pytest.raises(UsageError, match="between two steps"):
                run.checkpoint()
            break
    release(run)
    assert not Path("kept").exists()  # the folder was made, but not used


def test_a_run_that_broke_in_the_middle_of_a_step_writes_nothing(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = job(checkpoint=Checkpoints("kept", every=NEVER)).start()
    events = iter(run)
    while run.steps_done < 2:
        next(events)
    assert run.resumable

    def interrupted(*arguments: Any, **settings: Any) -> Evaluation:
        raise KeyboardInterrupt

    monkeypatch.setattr(Objective, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(events)
    assert not run.resumable
    assert run.picture().size == (12, 16)


def test_the_folder_is_that_of_one_run(pictures: Path) -> None:
    stop_after(2, job())
    with pytest.raises(UsageError, match="impasto resume"):
        job(checkpoint="kept").start()
    before = Folder("kept", create=False).read().table["position"]["done"]
    assert before == 2
    run = job(checkpoint=Checkpoints("kept", replace=True)).start()
    with pytest.raises(CheckpointError, match="another process"):
        impasto.resume("kept")
    finish(run)
    release(run)
    finish(impasto.resume("kept"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: path.write_bytes(b"x"), OutputError, "is a file"),
        (lambda path: None, CheckpointError, "no such folder"),
        (lambda path: path.mkdir(), CheckpointError, "holds no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_line(
    make: Callable[[Path], object], error: type[ImpastoError], message: str, pictures: Path
) -> None:
    make(pictures / "kept")
    with pytest.raises(error, match=message) as caught:
        impasto.resume("kept")
    assert "\n" not in str(caught.value)
    if error is OutputError:
        with pytest.raises(OutputError, match="is a file"):
            job(checkpoint="kept").start()
    else:
        assert list(pictures.glob("kept/*")) == []


def test_a_folder_that_cannot_be_written_to_is_refused_in_a_line(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(folder, "lock_folder", refuse)
    with pytest.raises(OutputError, match="Read-only file system") as caught:
        job(checkpoint="kept").start()
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="cannot be made"):
        job(checkpoint="nowhere/kept").start()


def only(pattern: str) -> Path:
    (found,) = Path("kept").glob(pattern)
    return found


def test_every_truncation_is_refused(pictures: Path) -> None:
    stop_after(2, job())
    for pattern in ("*.json", "*.safetensors"):
        path = only(pattern)
        content = path.read_bytes()
        # The newline at the end of the document is not needed.
        lengths = [*range(0, len(content) - 1, 3 if pattern == "*.json" else 4999), len(content) - 2]
        opened = Folder("kept", create=False)
        for length in lengths:
            path.write_bytes(content[:length])
            with pytest.raises(CheckpointError, match="is damaged") as caught:
                opened.read()
            assert "\n" not in str(caught.value)
        opened.close()
        path.write_bytes(content)
    finish(impasto.resume("kept"))


def test_flipped_bits_are_refused_or_say_the_same(pictures: Path) -> None:
    stop_after(2, job())
    opened = Folder("kept", create=False)
    sound = opened.read()
    generator = np.random.default_rng(0)
    refused = 0
    for pattern, count in (("*.json", 400), ("*.safetensors", 60)):
        path = only(pattern)
        content = path.read_bytes()
        for position in generator.integers(0, len(content), count).tolist():
            changed = bytearray(content)
            changed[position] ^= 1 << int(generator.integers(8))
            path.write_bytes(changed)
            try:
                assert opened.read() == sound
            except CheckpointError as error:
                refused += "\n" not in str(error)
        path.write_bytes(content)
    assert refused > 300


def test_a_document_that_is_whole_but_holds_nonsense_is_refused(pictures: Path) -> None:
    stop_after(2, job())
    path = only("*.json")
    found = json.loads(path.read_text())

    def changed(**parts: Any) -> None:
        path.write_bytes(folder.pack(found["run"] | parts))

    position = found["run"]["position"]
    options = found["run"]["options"]
    damaged: list[dict[str, Any]] = [
        {"position": position | {"scale": 7}},
        {"position": position | {"done": -1}},
        {"position": position | {"plans": []}},
        {"position": position | {"scale": 1}},
        {"position": None},
        {"content": None},
        {"content": {"name": "x"}},
        {"styles": [1]},
        {"scales": [[1, 2, 3]]},
        {"options": options | {"device": 3}},
        {"options": {}},
        {"recipe": found["run"]["recipe"] | {"unheard-of": 1}},
        {"recipe": []},
        {"tensors": {}},
    ]
    for parts in damaged:
        changed(**parts)
        with pytest.raises(ImpastoError) as caught:
            impasto.resume("kept")
        assert "\n" not in str(caught.value), parts
    changed()
    finish(impasto.resume("kept"))


def test_another_form_is_refused_with_the_version_that_wrote_it(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr(folder, "SCHEMA", 93)
        other.setattr(folder, "__version__", "9.8")
        stop_after(2, job())
    with pytest.raises(CheckpointError, match=r"form 93, written by impasto 9\.8.*use the version that wrote it"):
        impasto.resume("kept")


def test_what_a_killed_process_left_is_swept_and_the_older_checkpoint_holds(pictures: Path) -> None:
    expected, _ = finish(job().start())
    stop_after(3, job())
    begun = only("*.safetensors").read_bytes()[:5000]
    Path("kept/.checkpoint-000002.safetensors.tmp").write_bytes(begun)
    Path("kept/.checkpoint-000003.safetensors.tmp").touch()
    Path("kept/.impasto-0123456789abcdef.tmp").write_bytes(b"half")
    Path("kept/checkpoint-000002.safetensors").write_bytes(begun)  # without its document
    others = ("checkpoint-000004.safetensors", "checkpoint-000005.json", "checkpoint-best.json", "mine.txt")
    for name in others:
        Path("kept", name).write_text("not ours")
    run = impasto.resume("kept")
    ours = ["checkpoint-000001.json", "checkpoint-000001.safetensors", "lock"]
    assert sorted(path.name for path in Path("kept").iterdir()) == sorted([*ours, *others])
    np.testing.assert_array_equal(finish(run)[0], expected)
    assert run.checkpoint_writer is not None
    run.checkpoint_writer.folder.remove()
    assert sorted(path.name for path in Path("kept").iterdir()) == sorted(others)
    assert {Path("kept", name).read_text() for name in others} == {"not ours"}


def test_nothing_in_a_checkpoint_is_executed(pictures: Path) -> None:
    """The tensors are read by safetensors, which holds only numbers; a pickle in their place is refused."""
    import pickle

    stop_after(2, job())

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (Path("owned"),)

    only("*.safetensors").write_bytes(pickle.dumps(Payload()))
    found = json.loads(only("*.json").read_text())
    import hashlib

    digest = hashlib.sha256(only("*.safetensors").read_bytes()).hexdigest()
    only("*.json").write_bytes(folder.pack(found["run"] | {"tensors": {"sha256": digest, "bytes": 1}}))
    with pytest.raises(CheckpointError, match="is damaged"):
        impasto.resume("kept")
    assert not Path("owned").exists()


def test_the_noted_paths_and_a_scene(pictures: Path) -> None:
    table = document.table(job().scene(), Path("kept"), {"note": 1})
    assert table["content"]["file"] == {"path": str(pictures / "photo.png"), "relative": "../photo.png"}
    assert table["options"] == {"note": 1}
    assert resume.options_of(
        folder.SavedRun(RECIPE, {"options": {"note": 1, "keep": True, "device": "cpu"}}, Path("x"))
    ) == {"note": 1}


def test_a_resumed_run_convolves_as_it_began(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_CONVOLUTIONS", "default")
    stop_after(4, job())
    document = next(Path("kept").glob("*.json"))
    assert json.loads(document.read_text())["run"]["options"]["convolutions"] == "default"
    # Another process, on a machine that chooses the other method.
    monkeypatch.setenv("IMPASTO_CONVOLUTIONS", "winograd")
    run = impasto.resume("kept")
    methods: list[object] = []
    load = networks.load_network

    def note(*arguments: Any) -> VGG:
        methods.append(arguments[3])
        return load(*arguments)

    monkeypatch.setattr("impasto.engine.run.load_network", note)
    finish(run)
    assert methods == ["default"]
