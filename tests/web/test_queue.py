"""The queue and its worker in this process: a job continues after a crash, also one in the midst of steering."""

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import impasto
from impasto.errors import RecipeError, UsageError
from impasto.picture import Picture, read_picture
from impasto.recipe import Compute, Recipe, Style
from impasto.recipe.schedule import Scale
from impasto.recipe.terms import Content, MeanCovariance
from impasto.reports.events import Event, Started, Stepped
from impasto.vgg import network
from impasto.vgg.network import VGG
from impasto.web import requests, runs, shell_command
from impasto.web.job import WebTask
from impasto.web.queue import JobQueue
from impasto.web.requests import Order
from impasto.web.storage import Storage
from impasto.web.worker import QueueWorker

STEPS = (120, 4)
RECIPE = Recipe(size=32, start_size=16, steps=STEPS, terms=Content("relu2_1") + MeanCovariance())


@pytest.fixture(autouse=True)
def seeded(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def png(picture: Picture, folder: Path) -> bytes:
    picture.save(folder / "picture.png", force=True)
    return (folder / "picture.png").read_bytes()


def furnished(tmp_path: Path, picture: Callable[..., Picture]) -> tuple[Storage, str, str]:
    """Return a storage with a photo, 1.png, and a style picture, 2.png, and their names in there."""
    storage = Storage(tmp_path / "state")
    photo, style = (storage.add(png(picture(24, 32, seed), tmp_path), f"{seed}.png").id for seed in (1, 2))
    return storage, photo, style


def started(queue: JobQueue) -> QueueWorker:
    worker = QueueWorker(queue, Compute("cpu"))
    worker.start()
    return worker


def finish(state: Path) -> tuple[JobQueue, int]:
    """Open a state folder as after a crash; return the queue when its job is painted, and the number of steps taken."""
    storage = Storage(state)
    taken = 0
    tell = WebTask.record_event

    def counted(task: WebTask, event: Event) -> None:
        nonlocal taken
        taken += isinstance(event, Stepped)
        tell(task, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WebTask, "record_event", counted)
        queue = JobQueue(storage, 10**9)
        worker = started(queue)
        (id,) = [path.name for path in (state / "jobs").iterdir()]
        queue.resume(id)
        until(lambda: queue.task(id).state not in ("queued", "running", "paused"))
        assert worker.close(10)
    storage.close()
    return queue, taken


@pytest.mark.slow
def test_the_power_may_go_at_any_moment_of_steering(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    order = Order(photo, (Style(style),), RECIPE)
    queue = JobQueue(storage, 10**9)
    worker = started(queue)
    id = queue.add(order).id
    until(lambda: queue.task(id).step > 5)
    queue.pause(id)
    until(lambda: list((tmp_path / "state" / "jobs" / id).glob("checkpoint-*/*.json")))
    done = queue.task(id).step

    moments: list[Path] = []

    def photographed(name: str) -> Callable[..., Any]:
        """Return the function of that name in `runs`, which copies the state folder before and after each call."""
        original = getattr(runs, name)

        def wrapped(*given: Any, **named: Any) -> Any:
            result = None
            for when in ("before", "after"):
                if when == "after":
                    result = original(*given, **named)
                moments.append(tmp_path / f"{len(moments)} {when} {name}")
                shutil.copytree(tmp_path / "state", moments[-1])
            return result

        return wrapped

    changed = dataclasses.replace(order, recipe=RECIPE.replace(content_weight=3.0), settings={"content_weight": 3.0})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("save_start", "release", "remove_other_stretches", "begin"):
            patch.setattr(runs, name, photographed(name))
        queue.steer(id, changed)
        until(lambda: len(moments) == 8)
    assert worker.close(10)
    storage.close()
    for number, moment in enumerate(moments):
        found, taken = finish(moment)
        task = found.task(id)
        assert (task.state, task.error, task.notes) == ("finished", "", []), moment.name
        # What had been painted is not painted again, and what was not is.
        assert sum(STEPS) - done - 2 <= taken <= sum(STEPS) - done + 2, moment.name
        # The start picture is saved first, then the record names it, then the files of the earlier stretch are removed.
        assert (task.order.settings == changed.settings) == (number >= 2), moment.name
        shares = [share for share, _ in task.curve]
        assert shares == sorted(shares), moment.name


def test_a_checkpoint_goes_when_everybody_knows_that_the_picture_is_finished(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    known = []
    let_go = runs.release

    def watched(run: Any, *, over: bool) -> None:
        known.append(json.loads((storage.job(job) / "job.json").read_text())["state"])
        let_go(run, over=over)

    monkeypatch.setattr(runs, "release", watched)
    queue = JobQueue(storage, 10**9)
    job = queue.add(Order(photo, (Style(style),), RECIPE.replace(steps=(2, 2)))).id
    worker = started(queue)
    until(lambda: known)
    assert known == ["finished"]
    assert worker.close(10)
    storage.close()


def test_what_rested_rests_on(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    queue = JobQueue(storage, 10**9)
    worker = started(queue)
    ids = [queue.add(Order(photo, (Style(style),), RECIPE)).id for _ in range(2)]
    until(lambda: queue.task(ids[0]).step > 5)
    queue.pause(ids[0])
    until(lambda: list((tmp_path / "state" / "jobs" / ids[0]).glob("checkpoint-0/*.json")))
    assert worker.close(10)
    for rest in (True, True, False):  # however often the queue is opened
        queue = JobQueue(storage, 10**9)
        worker = started(queue)
        assert until(partial(queue.present)) == ids[0]
        assert [queue.task(id).state for id in ids] == ["paused", "queued"]
        if rest:
            assert worker.close(10)
    queue.cancel(ids[0])
    until(lambda: queue.task(ids[1]).state == "finished")
    # Its result is its last image, which is of the coarse scale.
    assert (queue.task(ids[0]).state, queue.task(ids[0]).size) == ("stopped", [16, 12])
    assert worker.close(10)
    storage.close()


def test_of_a_stretch_with_fewer_sizes_the_first_is_the_present_one() -> None:
    task = WebTask("a", Order("photo", (Style("style"),), RECIPE))
    task.scale, task.step = 2, 7
    task.record_event(Started((Scale(24, 32, 4),), "cpu", "digest", ()))
    assert task.brief()["present"] == [24, 32, 4]
    assert runs.remaining_steps(task.order, task) == (32, [4])


def test_what_steered_and_lost_its_checkpoint_paints_what_was_left(
    tmp_path: Path, picture: Callable[..., Picture]
) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    order = Order(photo, (Style(style),), RECIPE)
    queue = JobQueue(storage, 10**9)
    worker = started(queue)
    id = queue.add(order).id
    until(lambda: queue.task(id).step > 5)
    queue.pause(id)
    until(lambda: list((tmp_path / "state" / "jobs" / id).glob("checkpoint-0/*.json")))
    done = queue.task(id).step
    queue.steer(id, dataclasses.replace(order, recipe=RECIPE.replace(content_weight=3.0)))
    until(lambda: queue.task(id).stretch == 1)
    queue.resume(id)
    until(lambda: queue.task(id).step > 20)
    queue.pause(id)
    (kept,) = until(lambda: list((tmp_path / "state" / "jobs" / id).glob("checkpoint-1/*.safetensors")))
    assert worker.close(10)
    storage.close()
    kept.write_bytes(kept.read_bytes()[:-100])
    found, taken = finish(tmp_path / "state")
    task = found.task(id)
    assert task.state == "finished"
    (note,) = task.notes
    assert "it was begun again" in note
    assert sum(STEPS) - done - 2 <= taken <= sum(STEPS) - done + 2
    assert task.progress == 1


def test_a_sheet_is_painted_picture_by_picture_and_goes_on_where_it_was(
    tmp_path: Path, picture: Callable[..., Picture]
) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    recipe = RECIPE.replace(steps=(30, 2))
    order = Order(photo, (Style(style),), recipe, vary=(("seed", (1, 2)), ("content_weight", (0.1, 1.0))))
    queue = JobQueue(storage, 10**9)
    worker = started(queue)
    id = queue.add(order).id
    until(lambda: queue.task(id).cell == 1 and queue.task(id).step > 2)
    with pytest.raises(UsageError, match="a sheet is painted as it was begun"):
        queue.steer(id, dataclasses.replace(order, vary=()))
    with pytest.raises(UsageError, match="a sheet is painted as it was begun"):
        queue.steer(id, order)
    assert worker.close(10)
    storage.close()
    cells = tmp_path / "state" / "jobs" / id / "cells"
    (first,) = cells.iterdir()
    kept = first.stat().st_mtime_ns
    found, taken = finish(tmp_path / "state")
    task = found.task(id)
    assert (task.state, task.error, task.notes, task.progress) == ("finished", "", [], 1)
    assert (task.cell, task.cells) == (3, 4)
    assert taken == 3 * 32
    assert first.stat().st_mtime_ns == kept
    assert len(list(cells.iterdir())) == 4
    sheet = read_picture(tmp_path / "state" / "jobs" / id / "result.png")
    given = [storage.picture(each) for each in (photo, style)]
    wanted = impasto.sweep(given[0], given[1], dict(order.vary), recipe=recipe, device="cpu").sheet()
    assert task.size is not None
    assert sheet.size == wanted.size == (task.size[1], task.size[0])
    assert np.abs(sheet.pixels - wanted.pixels).max() < 2 / 255


def test_what_there_is_of_a_sheet_that_was_stopped_is_kept(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    queue = JobQueue(storage, 10**9)
    worker = started(queue)
    id = queue.add(Order(photo, (Style(style),), RECIPE, vary=(("seed", (1, 2)),))).id
    until(lambda: queue.task(id).step > 2)
    queue.cancel(id)
    until(lambda: queue.task(id).size)
    task = queue.task(id)
    assert task.state == "stopped"
    assert 0 < task.progress < 0.5
    assert worker.close(10)
    storage.close()


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ([{"name": "seed", "values": []}], "seed is varied by nothing"),
        ([{"name": "seed", "values": [1, 1]}], "seed is varied by 1 twice"),
        ([{"name": "seed", "values": 3}], "the values of seed are no list"),
        ([{"name": "seed", "values": list(range(37))}], "a sheet of 37 pictures; here up to 36"),
        ([{"name": "seed", "values": [1]}] * 2, "seed is varied twice"),
        ([{"name": "seed", "values": [1]}] * 3, "one or two settings"),
        ([{"name": "recipe", "values": ["/etc/passwd"]}], "one of the controls"),
        ([{"name": "optimizer.history", "values": [1]}], "one of the controls"),
        ([{"name": "sed", "values": [1]}], "there is no setting 'sed' to vary"),
        ([{"name": "content_weight", "values": [-1]}], "content_weight"),
        ([{"name": "size", "values": [{}]}], "size"),
        ([{"name": "seed", "value": [1]}], "has no field 'value'"),
        ("seed", "one or two settings"),
    ],
)
def test_wrong_sheets_are_refused(vary: Any, message: str, tmp_path: Path, picture: Callable[..., Picture]) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    with pytest.raises((UsageError, RecipeError), match=re.escape(message)):
        requests.parse_order({"content": photo, "styles": [{"picture": style}], "vary": vary}, storage)
    storage.close()


def test_a_sheet_as_a_command(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    vary = [{"name": "steps", "values": [[4, 2], [3]]}, {"name": "size", "values": [32, "original"]}]
    asked = {"content": photo, "styles": [{"picture": style}], "vary": vary, "settings": {"size": 48, "seed": 2}}
    order = requests.parse_order(asked, storage)
    assert shell_command.command(order, storage) == (
        "impasto sweep 1.png 2.png --recipe default --vary steps=4:2,3 --vary size=32,original --seed 2 -o "
        "1_2_sweep.png"
    )
    assert Order.from_table(json.loads(json.dumps(order.to_table()))) == order
    storage.close()
