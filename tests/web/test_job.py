"""The record of a job: values of a damaged or forged record never reach the page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from impasto.picture import Picture
from impasto.recipe import Style, presets
from impasto.recipe.schedule import Scale
from impasto.reports.events import ScaleStarted, Started, Stepped
from impasto.web.job import WebTask
from impasto.web.queue import JobQueue
from impasto.web.requests import Order
from impasto.web.storage import Storage

HUGE = int("9" * 400)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
NAMES = {HUGE: "400 digits", -HUGE: "minus 400 digits"}
DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]


@pytest.fixture
def record(tmp_path: Path, picture: Callable[..., Picture]) -> Path:
    """The record of a job that waits, in a state folder that no server uses."""
    storage = Storage(tmp_path / "state")
    picture(24, 32, 1).save(tmp_path / "photo.png")
    id = storage.add((tmp_path / "photo.png").read_bytes(), "photo.png").id
    task = JobQueue(storage, 10**9).add(Order(id, (Style(id),), presets.get("draft"), settings={"seed": 1}))
    storage.close()
    return storage.job(task.id) / "job.json"


def read(record: Path) -> tuple[list[Any], list[str]]:
    """Return the jobs that a page would show, and the notes on what was set aside."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON, and no browser would read it")

    storage = Storage(record.parents[2])
    queue = JobQueue(storage, 10**9)
    jobs = json.loads(queue.shown(), parse_constant=refuse)["jobs"]
    for job in jobs:
        json.dumps(queue.detail(job["id"]), allow_nan=False)
    storage.close()
    return jobs, storage.notes


def test_a_sound_record_is_read(record: Path) -> None:
    table = json.loads(record.read_text())
    table |= {"scales": [[16, 16, 3], [24, 32, 2]], "costs": [1, 2.5], "scale": 1, "curve": [[0, 3e20], [0.5, 2]]}
    record.write_text(json.dumps(table | {"seconds": 5, "progress": 0.5, "stages": [0, 0.5], "size": [32, 24]}))
    (job,), notes = read(record)
    assert (job["left"], job["present"], job["stages"], notes) == (5, [24, 32, 2], 2, [])


@pytest.mark.parametrize("number", [HUGE, -HUGE, *NOT_FINITE], ids=lambda number: NAMES.get(number, str(number)))
@pytest.mark.parametrize("name", ["created", "progress", "seconds", "scale", "step", "cells", "preview", "stretch"])
def test_a_number_of_a_record_is_finite_and_of_bounded_length(record: Path, name: str, number: float) -> None:
    table = json.loads(record.read_text())
    record.write_text(json.dumps(table | {name: number}))
    jobs, notes = read(record)
    assert jobs == []
    assert [note.endswith("is job.json.unreadable now") for note in notes] == [True]


@pytest.mark.parametrize(
    "change",
    [
        *({name: [number]} for name in ("stages", "costs", "steps") for number in (HUGE, *NOT_FINITE, "x", None)),
        *({name: [[0.5, number]]} for name in ("curve", "scales") for number in (HUGE, *NOT_FINITE, "x", None)),
        *({name: DEEP} for name in ("curve", "scales", "notes", "stages", "size", "state", "order")),
        {"progress": 1.5},
        {"progress": -0.1},
        {"created": 1e300},
        {"scale": 1, "scales": [[16, 16, 3]]},
        {"scale": -1, "scales": [[16, 16, 3]]},
        {"size": [HUGE, 1]},
        {"notes": [1]},
        {"error": "x" * 1_000_000},
        {"notes": ["x" * 20_000_000]},
        {"state": "lost"},
    ],
)
def test_a_damaged_value_of_a_record_sets_it_aside(record: Path, change: dict[str, Any]) -> None:
    table = json.loads(record.read_text())
    record.write_text(json.dumps(table | change))
    jobs, notes = read(record)
    assert jobs == []
    assert len(notes) == 1


@pytest.mark.parametrize("number", [HUGE, *NOT_FINITE], ids=lambda number: NAMES.get(number, str(number)))
def test_a_number_of_an_order_is_bounded_in_its_record_too(record: Path, number: float) -> None:
    table = json.loads(record.read_text())
    table["order"]["styles"][0]["weight"] = number
    record.write_text(json.dumps(table))
    jobs, notes = read(record)
    assert jobs == []
    assert len(notes) == 1


@pytest.mark.parametrize("side", [HUGE, *NOT_FINITE, 0, 1e5, "9", 10**9], ids=lambda side: NAMES.get(side, repr(side)))
def test_a_stored_picture_has_a_size_that_can_be(record: Path, side: float) -> None:
    (file,) = (record.parents[2] / "pictures").glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"width": side}))
    _, notes = read(record)
    assert [note.endswith(f"is {file.name}.unreadable now") for note in notes] == [True]


def test_a_loss_that_overflows_is_not_in_the_curve() -> None:
    task = WebTask("a", Order("photo", (Style("style"),), presets.get("draft")))
    task.record_event(Started((Scale(24, 32, 4),), "cpu", "digest", ()))
    task.record_event(ScaleStarted(0, 24, 32, 4))
    for step, loss in enumerate((3.0, *NOT_FINITE), 1):
        task.record_event(Stepped(0, step, 4, loss, {}, 0.1))
    assert [loss for _, loss in task.curve] == [3.0]
    json.dumps(task.brief(), allow_nan=False)
