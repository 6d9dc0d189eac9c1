"""`impasto batch` as a person types it, in this process with a small network."""

import dataclasses
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import impasto
from impasto.cli import command
from impasto.cli.commands.batch import batch
from impasto.cli.commands.stylize import stylize
from impasto.engine.objective import Objective
from impasto.errors import ImpastoError, OutputError
from impasto.executors import worker
from impasto.picture import Picture, checks, read_picture, remembered
from impasto.recipe import LBFGS, presets
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = ["--size", "32", "--start-size", "16", "--steps", "2", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]
) -> Path:
    """A working directory with three photos, two styles and a recipe."""
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("abc"):
        picture(24, 32, seed).save(tmp_path / "photos" / f"{name}.png")
    picture(40, 30, 8).save(tmp_path / "s.png")
    picture(30, 30, 9).save(tmp_path / "t.png")
    Image.fromarray(np.tile(np.array([0, 255], np.uint8), (30, 15))).save(tmp_path / "grey.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    Path("mine.toml").write_text(presets.get("default").with_layers("content", "relu4_1").to_toml())
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments])


def run(*arguments: str, quick: bool = True) -> Result:
    return invoke("batch", *arguments, "--on", "inline", "-r", "mine.toml", *(QUICK if quick else ()))


def good(result: Result) -> Result:
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def times(folder: str = "out") -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob("*.png")}


def message(result: Result) -> str:
    return str(result.exception) if isinstance(result.exception, ImpastoError) else result.output


def test_a_folder_with_two_styles(folder: Path) -> None:
    said = good(run("photos", "s.png", "t.png", "-o", "out/{content}_{style}.png")).stderr.splitlines()
    assert sorted(times()) == [f"{photo}_{style}.png" for photo in "abc" for style in "st"]
    assert said[0].startswith("1 of 6: out/a_s.png, ")
    assert said[0].endswith(" left")
    assert said[-1].startswith("painted 6  ")
    lines = [json.loads(line) for line in Path("out/impasto-batch.jsonl").read_text().splitlines()]
    assert [(line["output"], line["status"], line["steps"]) for line in lines] == [
        (f"{photo}_{style}.png", "painted", 4) for photo in "abc" for style in "st"
    ]


def test_every_option_of_stylize_is_one_here() -> None:
    def options(command: Any) -> dict[str, Any]:
        found = {each.name: each for each in command.params if not each.name.isupper()}
        return {name: each.to_info_dict() for name, each in found.items() if each.param_type_name == "option"}

    ours, theirs = options(batch), options(stylize)
    assert {name: ours.get(name) for name in theirs} == theirs
    assert set(ours) - set(theirs) == {"blend", "shard", "retry_failed", "log", "on", "workers", "gpus"}


@pytest.mark.parametrize(
    "options",
    [
        ["--seed", "3", "--init", "noise", "--set", "optimizer.history=3", "--no-metadata"],
        ["--blend", "--style-weights", "1,3", "--style-scales", "0.5,2", "--style-parts", "fine,coarse"],
        ["--protect", "photos/c.png", "--colors", "match", "--bits", "16", "--init", "photos/b.png"],
        ["--blend", "--style-mask", "none", "--style-mask", "grey.png", "--save-every", "3", "--precision", "float32"],
    ],
)
def test_the_bytes_are_those_of_stylize(options: list[str], folder: Path) -> None:
    styles = ["s.png", "t.png"] if "--blend" in options else ["s.png"]
    good(run("photos/a.png", *styles, "-o", "out/{content}.png", *options))
    same = [option for option in options if option != "--blend"]
    good(invoke("stylize", "photos/a.png", *styles, "-o", "a.png", "-r", "mine.toml", *QUICK, *same))
    assert Path("out/a.png").read_bytes() == Path("a.png").read_bytes()
    assert len(times()) == (2 if "--save-every" in options else 1)


def test_like_takes_weights_as_stylize_does(folder: Path) -> None:
    styles = ["s.png", "t.png"]
    good(invoke("stylize", "photos/a.png", *styles, "--style-weights", "1,4", "-r", "mine.toml", *QUICK, "-o", "w.png"))
    like = ["--like", "w.png", "--device", "cpu"]
    good(invoke("batch", "photos/b.png", *styles, "--blend", *like, "-o", "out/b.png", "--on", "inline"))
    good(invoke("stylize", "photos/b.png", *styles, *like, "-o", "b.png"))
    assert Path("out/b.png").read_bytes() == Path("b.png").read_bytes()
    assert [style.weight for style in remembered("out/b.png").styles] == [0.2, 0.8]
    refused = invoke("batch", "photos/b.png", "s.png", *like, "-r", "fine", "-o", "out/c.png")
    assert "--like and --recipe both name a recipe" in message(refused)


def test_a_list_overrides_the_command(folder: Path) -> None:
    rows = [
        {"content": "photos/a.png", "output": "o/{content}_{size}.png", "size": 16},
        {
            "content": "photos/b.png",
            "style": ["s.png", "t.png"],
            "style-weights": [1, 3],
            "bits": 16,
            "output": "o/b.png",
        },
        {
            "content": "photos/c.png",
            "optimizer.history": 3,
            "init": "photos/a.png",
            "recipe": "soft.toml",
            "steps": [1, 1],
        },
    ]
    Path("lists").mkdir()
    shutil.move("photos", "lists/photos")
    for name in "st":
        shutil.copy(f"{name}.png", f"lists/{name}.png")
    soft = presets.read("mine.toml").replace(smoothness=4.0)
    Path("lists/soft.toml").write_text(soft.to_toml())
    Path("lists/all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    good(run("lists/all.jsonl", "s.png", "--seed", "5"))
    assert read_picture("lists/o/a_16.png").size == (12, 16)
    second = remembered("lists/o/b.png")
    assert ([style.weight for style in second.styles], read_picture("lists/o/b.png").bits) == ([0.25, 0.75], 16)
    third = remembered("c_s.png")
    assert isinstance(third.recipe.optimizer, LBFGS)
    assert third.init is not None
    assert (third.recipe.optimizer.history, third.init.name, third.recipe.seed) == (3, "a.png", 5)
    assert (third.recipe.smoothness, third.recipe.steps) == (4.0, (1, 1))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"size": "big"}, "line 2: Invalid value"),
        ({"sizes": 3}, "line 2: there is no option 'sizes' for a picture; did you mean 'size'"),
        ({"device": "cpu"}, "line 2: there is no option 'device' for a picture"),
        ({"optimizer.speed": 3}, "line 2: "),
        ({"output": "{what}.png"}, "line 2: "),
        ({"output": "x.docx"}, "line 2: "),
        ({"recipe": "drafft"}, "line 2: "),
        ({"size": {"a": 1}}, "line 2: "),
        ({"bits": 16, "output": "x.jpg"}, "line 2: JPEG holds 8 bits"),
    ],
)
def test_a_bad_line_is_named(row: dict[str, Any], expected: str, folder: Path) -> None:
    rows = [{"content": "photos/a.png", "style": "s.png"}, {"content": "photos/b.png", "style": "s.png", **row}]
    Path("all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    before = sorted(folder.rglob("*"))
    result = run("all.jsonl")
    assert result.exit_code == 2 or isinstance(result.exception, ImpastoError)
    assert expected in message(result)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["photos", "s.png", "-o", "out/{style}.png"], "would be the output of both photos/a.png and photos/b.png"),
        (["photos", "s.png", "-o", "photos/{content}.png"], "is the same file as the input photos/a.png"),
        (["photos", "s.png", "-o", "photos/{content}.png", "--force"], "is the same file as the input photos/a.png"),
        (["photos", "s.png", "--preview", "now.png"], "now.png: would be the output of both"),
        (["photos", "s.png", "--checkpoint", "kept"], "kept: would be the output of both"),
        (["photos", "s.png", "-o", "-"], "not standard output"),
        (["-", "s.png"], "not standard input"),
        (["photos"], "no style picture was given"),
        (["photos", "*.gif"], "*.gif: names no picture"),
        (["photos", "s.png", "-o", "mine.toml/{content}.png"], "nothing can be written there"),
        (["photos", "s.png", "--shard", "4/3"], "give I/N"),
        (["photos", "s.png", "--on", "moon"], "--on moon: is no place to paint"),
        (["photos", "s.png", "--workers", "2"], "--workers is for --on local or ray"),
        (["photos", "s.png", "--on", "local", "--gpus", "1"], "--gpus is for --on ray"),
        (["photos", "s.png", "--quality", "80"], "loses nothing, so it has no quality"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(arguments: list[str], expected: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    result = invoke("batch", "--on", "inline", *arguments, "-r", "mine.toml", *QUICK)
    assert result.exit_code != 0
    assert expected in message(result)
    assert sorted(folder.rglob("*")) == before


def test_only_what_is_missing_or_changed_is_painted(folder: Path, picture: Callable[..., Picture]) -> None:
    command = ["photos", "s.png", "-o", "out/{content}.png"]
    good(run(*command))
    earlier = times()
    assert "3 of 3 are there" in good(run(*command)).stderr
    assert times() == earlier
    # In another folder and without the log, the provenance in the pictures says how they were painted.
    Path("out/impasto-batch.jsonl").unlink()
    good(run(*command))
    assert times() == earlier
    Path("out/b.png").unlink()
    picture(24, 32, 30).save("photos/c.png")
    good(run(*command))
    changed = {name for name, time in times().items() if time != earlier[name]}
    assert changed == {"b.png", "c.png"}
    earlier = times()
    good(run(*command, "--seed", "4", "--init", "noise"))
    assert all(time != earlier[name] for name, time in times().items())
    # Values that the picture does not store are in the log.
    earlier = times()
    good(run(*command, "--seed", "4", "--init", "noise", "--bits", "16"))
    assert all(time != earlier[name] for name, time in times().items())
    earlier = times()
    good(run(*command, "--seed", "4", "--init", "noise", "--bits", "16", "--force"))
    assert all(time != earlier[name] for name, time in times().items())


def test_a_picture_of_something_else_is_not_replaced(folder: Path) -> None:
    Path("out").mkdir()
    shutil.copy("s.png", "out/b.png")
    command = ["photos", "s.png", "-o", "out/{content}.png"]
    refused = run(*command)
    assert "out/b.png: exists already, and is no picture of this batch" in message(refused)
    assert sorted(times()) == ["b.png"]
    good(invoke("stylize", "photos/a.png", "s.png", "-o", "out/b.png", "--force", "-r", "mine.toml", *QUICK))
    assert "out/b.png: exists already" in message(run(*command))
    good(run(*command, "--force"))
    content = remembered("out/b.png").content
    assert content is not None
    assert content.name == "b.png"


def test_a_picture_that_fails_stops_no_other(folder: Path, picture: Callable[..., Picture]) -> None:
    Path("photos/b.png").write_bytes(Path("photos/b.png").read_bytes()[:300])
    command = ["photos", "s.png", "-o", "out/{content}.png"]
    result = run(*command)
    assert result.exit_code == 1
    assert "impasto: 2 of 3: out/b.png: photos/b.png: is damaged" in result.stderr
    assert "failed  1  go on with --retry-failed" in result.stderr
    assert sorted(times()) == ["a.png", "c.png"]
    quiet = run(*command, "-q")
    assert (quiet.exit_code, len(quiet.stderr.splitlines())) == (1, 1)
    picture(24, 32, 1).save("photos/b.png")
    Path("out/a.png").unlink()
    result = good(run(*command, "--retry-failed"))
    assert sorted(times()) == ["b.png", "c.png"]
    assert "left    1  the same command goes on" in result.stderr
    good(run(*command))
    assert sorted(times()) == ["a.png", "b.png", "c.png"]


def test_a_bug_of_ours_is_one_picture_s_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Objective.evaluate

    def poisoned(self: Objective, image: Any, *, gradient: bool = True) -> Any:
        found = evaluate(self, image, gradient=gradient)
        kind = next(poison)
        if kind == "bug":
            raise ZeroDivisionError("of\nours")
        return dataclasses.replace(found, numbers=found.numbers * math.nan) if kind == "nan" else found

    poison = iter(["bug"] + ["nan"] * 6 + [""] * 1000)
    monkeypatch.setattr(Objective, "evaluate", poisoned)
    result = run("photos", "s.png", "-o", "out/{content}.png")
    assert result.exit_code == 1
    assert "a.png: unexpected ZeroDivisionError: of ours; please report this" in result.stderr
    assert "b.png: the loss or its gradient was not finite" in result.stderr
    assert sorted(times()) == ["c.png"]


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("photos", "Is a directory"),
        ("s.png/log.jsonl", "Not a directory"),
        # Not even root can make a file there.
        pytest.param(
            "/proc/log.jsonl", "No such file", marks=pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
        ),
    ],
)
def test_a_log_that_cannot_be_written_is_refused_before_the_first_picture(log: str, why: str, folder: Path) -> None:
    result = run("photos", "s.png", "-o", "out/{content}.png", "--log", log)
    assert isinstance(result.exception, OutputError)
    assert f"{log}: the log cannot be written ({why}" in str(result.exception)
    assert not times()


def test_a_log_in_a_new_folder(folder: Path) -> None:
    good(run("photos/c.png", "s.png", "-o", "out/{content}.png", "--log", "logs/of/today.jsonl"))
    assert len(Path("logs/of/today.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError("broken"), OSError("gone")])
def test_a_picture_that_fails_on_the_way_is_saved_as_far_as_it_got(
    error: Exception, folder: Path, fault: Callable[[int, Exception], None]
) -> None:
    command = ["photos", "s.png", "-o", "out/{content}.png"]
    fault(3, error)
    result = run(*command)
    assert result.exit_code == 1
    assert str(error) in result.stderr
    assert "; saved what there is, 32x24\n" in result.stderr
    assert sorted(times()) == ["a.png", "b.png", "c.png"]
    finished = {name: remembered(f"out/{name}.png").finished for name in "abc"}
    assert finished == {"a": False, "b": True, "c": True}
    # It counts as failed and is painted again.
    before = times()
    good(run(*command, "--retry-failed"))
    assert [name for name, time in times().items() if time != before[name]] == ["a.png"]
    assert remembered("out/a.png").finished


def test_a_dry_run_says_what_would_be(folder: Path) -> None:
    good(run("photos/c.png", "s.png", "-o", "out/{content}.png"))
    Path("photos/b.png").write_bytes(b"no picture")
    before = sorted(folder.rglob("*"))
    lines = good(run("photos", "s.png", "-o", "out/{content}.png", "--dry-run")).stdout.splitlines()
    assert lines[0].split("  ")[:3] == ["1", "out/a.png", "32x24"]
    assert "about 1 s" in lines[0]
    assert lines[0].endswith(" GB")
    assert "cannot be painted: photos/b.png: is " in lines[1]
    assert lines[2] == "pictures  2 to paint, 1 there, 1 that cannot be"
    assert lines[4].startswith("memory    about 0.")
    assert lines[5] == "time      about 1 s with all cores"
    assert sorted(folder.rglob("*")) == before


def test_json_events(folder: Path) -> None:
    Path("photos/b.png").write_bytes(b"no picture")
    result = run("photos", "s.png", "-o", "out/{content}.png", "--json")
    found = events(result)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert found[0] == {"event": "batch_started", "ahead": 3, "there": 0}
    names = [(event["event"], event.get("picture")) for event in found if event["event"].startswith("picture")]
    assert names == [
        ("picture_started", 1), ("picture_painted", 1), ("picture_started", 2), ("picture_failed", 2),
        ("picture_started", 3), ("picture_painted", 3),
    ]  # fmt: skip
    painted = next(event for event in found if event["event"] == "picture_painted")
    assert (painted["output"], painted["size"], painted["steps"]) == ("out/a.png", [24, 32], 4)
    assert [event["event"] for event in found if event.get("picture") == 1][1:-1][0] == "started"
    end = found[-1]
    assert [end[name] for name in ("event", "painted", "failed", "there", "left")] == ["batch_finished", 2, 1, 0, 0]


def test_shards_do_all_once_and_see_each_others_logs(folder: Path) -> None:
    command = ["photos", "s.png", "t.png", "-o", "out/{content}_{style}.png"]
    for index in (1, 2, 3):
        before = set(times())
        good(run(*command, "--shard", f"{index}/3"))
        assert len(set(times()) - before) == 2
    assert len(times()) == 6
    assert len(list(Path("out").glob("impasto-batch-*-of-3.jsonl"))) == 3
    earlier = times()
    assert "6 of 6 are there" in good(run(*command)).stderr
    assert times() == earlier


def test_an_interrupted_picture_goes_on_from_its_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is too short to have any on the way; what is asked for in another way begins anew."""
    command = ["photos/a.png", "s.png", "-o", "out/a.png", "--json"]
    expected = good(run(*command, "-o", "whole.png"))
    assert expected
    paint = worker.paint

    def interrupted(task: Any, asked: Callable[[], bool]) -> Any:
        seen = iter([False, False, False, True, True, True])
        return paint(task, lambda: next(seen, True))

    from impasto.executors import inline

    monkeypatch.setattr(inline, "paint", interrupted)
    good(run(*command))
    assert not Path("out/a.png").exists()
    assert list(Path("out/a.png.impasto").glob("checkpoint-*.json"))
    monkeypatch.setattr(inline, "paint", paint)
    saved = Path("saved")
    shutil.copytree("out/a.png.impasto", saved)
    painted = [event for event in events(good(run(*command))) if event["event"] == "picture_painted"]
    assert (painted[0]["before"], painted[0]["steps"]) == (2, 2)
    assert np.array_equal(read_picture("out/a.png").pixels, read_picture("whole.png").pixels)
    assert not Path("out/a.png.impasto").exists()
    # The same pictures under other paths.
    Path("out/a.png").unlink()
    shutil.copytree(saved, "out/a.png.impasto")
    painted = [event for event in events(good(run(*command, "--seed", "7"))) if event["event"] == "picture_painted"]
    assert (painted[0]["before"], painted[0]["steps"]) == (0, 4)
    assert not Path("out/a.png.impasto").exists()
    # The picture is there, and its worker was killed before it removed the checkpoint.
    shutil.copytree(saved, "out/a.png.impasto")
    Path("out/a.png").unlink()
    shutil.copy("whole.png", "out/a.png")
    Path("out/impasto-batch.jsonl").unlink()
    good(run(*command))
    assert not Path("out/a.png.impasto").exists()


def test_a_checkpoint_of_another_command_is_not_touched(folder: Path) -> None:
    inputs, recipe = impasto.Inputs.of("photos/a.png", "s.png"), presets.read("mine.toml").replace(size=32)
    job = impasto.Job(inputs, recipe, impasto.Compute("cpu"), checkpoint="out.png.impasto")
    for event in (painting := job.start()):
        if isinstance(event, impasto.Stepped):
            painting.checkpoint()
            break
    painting.close()
    assert painting.checkpoint_writer is not None
    painting.checkpoint_writer.folder.close()
    command = ["photos/a.png", "s.png", "-o", "out.png"]
    result = run(*command)
    assert result.exit_code == 1
    assert "out.png.impasto: holds the checkpoint of another run" in result.stderr
    good(run(*command, "--force"))
    assert not Path("out.png.impasto").exists()


def test_a_template_may_not_name_a_stream_of_windows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "sys", SimpleNamespace(platform="win32"))
    result = run("photos", "s.png", "-o", "out:{content}.png")
    assert "a name on Windows cannot hold :" in message(result)
    assert not times(".").keys() - {"s.png", "t.png", "grey.png"}


def test_a_photo_called_by_dots_is_painted_in_its_place(folder: Path) -> None:
    shutil.move("photos/a.png", "photos/...png")
    Path("list.csv").write_text("content,style\nphotos/...png,s.png\nphotos/b.png,s.png\n")
    good(run("list.csv", "-o", "out/{content}/{style}.png"))
    assert sorted(map(str, Path("out").glob("*/*.png"))) == ["out/__/s.png", "out/b/s.png"]
    assert times(".").keys() == {"s.png", "t.png", "grey.png"}


def test_whole_numbers_may_have_decimals_as_pandas_writes_them(folder: Path) -> None:
    names = "content,style,size,steps,seed,content-weight,optimizer.history,bits"
    Path("list.csv").write_text(f"{names}\nphotos/a.png,s.png,24.0,2.0,3.0,0.5,4.0,16.0\nphotos/b.png,s.png,,,,,,\n")
    good(run("list.csv"))
    recipe = remembered("a_s.png").recipe
    assert isinstance(recipe.optimizer, LBFGS)
    assert (recipe.size, recipe.steps, recipe.seed, recipe.optimizer.history) == (24, (2,), 3, 4)
    assert read_picture("a_s.png").bits == 16
    Path("list.csv").write_text("content,style,size\nphotos/a.png,s.png,24.5\n")
    assert "line 2: Invalid value" in message(run("list.csv"))
