"""The progress of a run: bar, plain lines, JSON lines, and durations in words."""

import json
from collections.abc import Callable

import pytest

from impasto.cli.display import progress as progress_display
from impasto.engine import planning
from impasto.recipe.schedule import Scale
from impasto.reports import events
from impasto.reports.advice import Advice
from impasto.reports.events import Adapted, Event, Finished, ScaleStarted, Started, Stepped
from impasto.reports.progress import Work

SCALES = (Scale(12, 16, 2), Scale(24, 32, 1))
EVENTS: list[Event] = [
    Started(SCALES, "cpu", "abc"),
    ScaleStarted(0, 12, 16, 2),
    Stepped(0, 1, 2, 3.0, {"gram": 3.0}, 0.5),
    Adapted(0, 512, 4),
    Stepped(0, 2, 2, 2.0, {"gram": 2.0}, 1.0),
    ScaleStarted(1, 24, 32, 1),
    Adapted(1, None, 2),
    Stepped(1, 1, 1, 1.0, {"gram": 1.0}, 2.0),
    Finished(1.0, {"gram": 1.0}, 3, 2.5, (Advice("noise", "there is grain", "try less"),)),
]
SAID = ["memory ran out; going on with tiles: of 512 px, history 4",
        "memory ran out; going on with tiles: none: the whole at once, history 2"]  # fmt: skip


def shown(listener: progress_display.Listener) -> None:
    with listener:
        for event in EVENTS:
            listener.show(event)


def test_plain_lines_say_that_memory_ran_out(capsys: pytest.CaptureFixture[str]) -> None:
    shown(progress_display.PlainLines())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["painting on cpu: 16x12 (2 steps), 32x24 (1 steps)", *SAID]


def test_json_lines_have_it_as_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    shown(progress_display.JsonLines())
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in found] == [events.name(event) for event in EVENTS]
    assert found[3] == {"event": "adapted", "scale": 0, "tile": 512, "history": 4}
    assert found[-1]["advice"] == [{"sign": "noise", "seen": "there is grain", "help": "try less"}]
    assert found[6] == {"event": "adapted", "scale": 1, "tile": None, "history": 2}
    assert err == ""


def test_the_bar_says_it_above_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown(progress_display.Bar())
    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "memory" in line] == SAID


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    shown(progress_display.Silent())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("as_json", "quiet", "terminal", "expected"),
    [
        (True, False, True, progress_display.JsonLines),
        (True, True, False, progress_display.JsonLines),
        (False, True, True, progress_display.Silent),
        (False, False, True, progress_display.Bar),
        (False, False, False, progress_display.PlainLines),
    ],
)
def test_the_listener_fits_what_was_asked_for(
    as_json: bool, quiet: bool, terminal: bool, expected: Callable[..., progress_display.Listener]
) -> None:
    assert type(progress_display.make_listener(quiet=quiet, as_json=as_json, terminal=terminal)) is expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1 s"),
        (0.2, "1 s"),
        (1.4, "1 s"),
        (40, "40 s"),
        (99, "99 s"),
        (120, "2 min"),
        (700, "12 min"),
        (5940, "99 min"),
        (7200, "2.0 h"),
        (12600, "3.5 h"),
        (400000, "111.1 h"),
    ],
)
def test_lengths_of_time(seconds: float, expected: str) -> None:
    assert progress_display.format_duration(seconds) == expected


@pytest.mark.parametrize("limit", [100, 6000])
def test_lengths_of_time_do_not_shrink_where_the_unit_changes(limit: float) -> None:
    def inverse(text: str) -> float:
        number, unit = text.split()
        return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]

    below, above = (inverse(progress_display.format_duration(seconds)) for seconds in (limit - 0.01, limit))
    assert below <= above + limit / 100
    assert below == pytest.approx(above, rel=0.25)


def test_tiles_in_words() -> None:
    assert progress_display.describe_tiles(None) == "none: the whole at once"
    assert progress_display.describe_tiles(512) == "of 512 px"


def test_the_part_that_is_done_is_that_of_the_work() -> None:
    coarse, fine = Stepped(0, 2, 2, 1.0, {}, 1.0), Stepped(1, 1, 1, 1.0, {}, 1.0)
    assert [Work(SCALES).done(event) for event in (coarse, fine)] == [2 * 192 / (2 * 192 + 768), 1]
    # A step in tiles costs more than the number of pixels alone.
    assert [Work(SCALES, (1, 8)).done(event) for event in (coarse, fine)] == [0.2, 1]
    tiled, whole = planning.Plan(256, 1, 1), planning.Plan(None, 1, 1)
    assert planning.step_cost(64, 32, whole) == 2048
    assert planning.step_cost(64, 32, tiled) > 2 * 2048
