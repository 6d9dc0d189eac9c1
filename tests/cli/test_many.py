"""The progress of many items: bar, lines, JSON, and the estimate of the time left."""

import json
import sys
import time

import pytest

from impasto.cli.display.many import ManyDisplay, Pace, describe_left


class Clock:
    """A clock that stands still between the steps of a test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def display(pace: Pace, *, quiet: bool = False, as_json: bool = False, has_bar: bool = True) -> ManyDisplay:
    return ManyDisplay(pace, {"quiet": quiet, "as_json": as_json}, has_bar=has_bar)


def state(pace: Pace) -> tuple[float | None, float, list[int]]:
    return pace.seconds_left, pace.part, list(pace.ahead)


def test_the_rest_takes_as_long_as_the_work_so_far_tells(clock: Clock) -> None:
    pace = Pace({1: 10.0, 2: 20.0, 3: 10.0})
    assert state(pace) == (None, 0, [1, 2, 3])
    clock.now += 5
    pace.advance(1, left=5.0)
    assert state(pace) == (35, 0.125, [1, 2, 3])
    pace.finish(1)
    assert state(pace) == (15, 0.25, [2, 3])
    pace.finish(2)
    pace.finish(3)
    assert state(pace) == (None, 1, [])


def test_the_work_of_earlier_runs_took_none_of_this_time(clock: Clock) -> None:
    pace = Pace({1: 10.0, 2: 15.0, 3: 15.0})
    clock.now += 1000
    pace.finish(1, most=0.0)
    assert state(pace) == (None, 0.25, [2, 3])
    clock.now += 2
    # The first step after seven of an interrupted run.
    pace.advance(2, left=2.0, most=1.0)
    assert pace.seconds_left == 2 * 17
    pace.finish(2)
    assert pace.seconds_left == pytest.approx(2 * 15 / 3)


def test_a_lost_worker_does_its_steps_again(clock: Clock) -> None:
    pace = Pace({1: 10.0})
    clock.now += 3
    pace.advance(1, left=4.0)
    pace.advance(1, left=9.0, most=1.0)
    assert pace.seconds_left == 3 * 9


def test_too_little_work_tells_nothing(clock: Clock) -> None:
    pace = Pace(dict.fromkeys(range(1, 6), 1.0), too_little=2)
    for frame in (1, 2):
        clock.now += 1
        pace.finish(frame)
        assert pace.seconds_left is None
    clock.now += 1
    pace.finish(3)
    assert describe_left(pace.seconds_left) == "about 2 s left"


def test_items_that_nobody_counted(clock: Clock) -> None:
    pace = Pace({})
    clock.now += 1
    pace.finish(1)
    assert pace.seconds_left is None
    assert describe_left(None) == ""
    pace.advance(2, left=7.0)
    assert list(pace.ahead) == [2]


@pytest.mark.parametrize(
    ("quiet", "as_json", "out", "err"),
    [
        (False, False, [], ["a line", "an error", "progress"]),
        (True, False, [], ["an error"]),
        (False, True, [{"event": "begun"}], ["an error"]),
        (True, True, [{"event": "begun"}], ["an error"]),
    ],
)
def test_who_reads_what(
    quiet: bool, as_json: bool, out: list[dict[str, str]], err: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with display(Pace({1: 1.0}), quiet=quiet, as_json=as_json) as shown:
        shown.write_event({"event": "begun"})
        shown.write_line("a line")
        shown.write_error("an error")
        shown.write_progress("progress")
        shown.move_bar("1 of 1")
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == out
    assert printed.err.splitlines() == err


def test_plain_lines_of_progress_keep_their_distance(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = display(Pace({}))
    for second in range(25):
        clock.now = 100.0 + second
        shown.write_progress(f"second {second}")
    assert capsys.readouterr().err.splitlines() == ["second 0", "second 10", "second 20"]


def test_a_bar_has_lines_above_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    pace = Pace({1: 1.0, 2: 1.0})
    with display(pace) as shown:
        pace.finish(1)
        shown.move_bar("1 of 2")
        shown.write_line("a [bold] line")
        shown.write_progress("no line")
    # There is no bar now, so no text is cut or wrapped.
    shown.write_line("the end " + 60 * "-")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "1 of 2" in printed.err
    assert "about 1 s left" in printed.err
    assert "a [bold] line" in printed.err
    assert "no line" not in printed.err
    assert printed.err.endswith("the end " + 60 * "-" + "\n")


def test_no_second_bar_where_the_items_have_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with display(Pace({1: 1.0}), has_bar=False) as shown:
        shown.move_bar("1 of 1")
        shown.write_line("a line")
    assert capsys.readouterr().err == "a line\n"
