"""The GPU test, as far as a CPU can show: what its parts find, how they end, and what is written."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.prove import __main__ as entry
from benchmarks.prove import painting, programs, report, timing
from benchmarks.prove.painting import Painted
from benchmarks.prove.part import Found, Given, Part, Result, SkippedError
from impasto.engine import devices
from impasto.recipe import Recipe

PROJECT = Path(__file__).resolve().parent.parent.parent
MACHINE = {"cpu": "some CPU", "cores": 2, "gpu": "Some GPU", "torch": "2.13.0", "python": "3.12"}
CPU, CUDA = Given(("cpu", "cpu"), quick=True), Given(("cuda:0",), quick=True)
LOSSES = (1.0, 0.8, 0.7, 0.6, 0.5)


def picture(level: float = 0.5, losses: tuple[float, ...] = LOSSES) -> Painted:
    pixels = np.full((3, 4, 4), level, np.float32)
    return Painted(pixels, pixels, losses, losses[-1])


def paint_in_turn(monkeypatch: pytest.MonkeyPatch, pictures: Iterator[Painted]) -> None:
    monkeypatch.setattr(painting, "paint", lambda *_, **__: next(pictures))


@pytest.mark.parametrize(
    ("other", "findings"),
    [
        (picture(), []),
        (picture(0.51), ["levels of pixels differ by 2.55, more than 1.5"]),
        (picture(losses=(1.0, 0.8, 0.7, 0.65, 0.5)), ["first losses differ by 0.08333, more than 0.01"]),
        (picture(losses=(1.0, 0.8, 0.7, 0.6, 0.54)), ["final losses differ by 0.08, more than 0.06"]),
        (picture(float("nan")), ["levels of pixels differ by nan"]),
    ],
)
def test_a_device_that_paints_otherwise_is_found(
    other: Painted, findings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two pictures by the CPU as references, then two in float32 and two in bfloat16 by one device.
    paint_in_turn(monkeypatch, iter([picture(), picture(), other, other, picture(), picture()]))
    found = painting.agree(Given(("cpu",), quick=True))
    assert len(found.findings) == len(findings)
    for finding, expected in zip(found.findings, findings, strict=True):
        assert finding.startswith(f"cpu in float32: {expected}")


def test_the_same_picture_to_the_bit_or_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    almost = np.nextafter(np.float32(0.5), np.float32(1))
    paint_in_turn(monkeypatch, iter([*[picture()] * 4, picture(float(almost))]))
    found = painting.keep_graphs(CPU)
    assert len(found.findings) == 1
    assert "picture 5 differs from the first of its shape" in found.findings[0]
    assert [row["shape"] for row in found.rows] == ["wide", "wide", "square", "tall", "wide"]


def test_a_gpu_without_graphs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    paint_in_turn(monkeypatch, itertools.repeat(picture()))
    assert painting.keep_graphs(CUDA).findings == ["the first picture captured no graph"]


@pytest.mark.parametrize(
    ("reserved", "findings"),
    [([5, 9, 9, 9, 9, 9, 10], 0), ([5, 9, 9, 9, 9, 40, 90], 2), ([90, 80, 60, 20, 9, 9, 9], 0)],
)
def test_memory_that_grows_is_found(reserved: list[int], findings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_in_turn(monkeypatch, itertools.repeat(picture()))
    moments = itertools.cycle(1_000_000 * value for value in reserved)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: next(moments))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1_000_000)
    found = painting.watch_memory(CUDA)
    assert [f.partition(":")[2] for f in found.findings] == [" reserved memory grew by 81 MB"] * findings
    assert found.rows[0]["reserved after 7, MB"] == reserved[-1]


def test_a_preset_that_fails_keeps_no_other_from_being_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(recipe: Recipe, *_: Any, **__: Any) -> Painted:
        if recipe.name == "default":
            raise RuntimeError("CUDA error\nand how to debug it")
        return picture()

    monkeypatch.setattr(painting, "paint", paint)
    found = painting.watch_memory(CPU)
    assert found.findings == ["default: fails at picture 1: CUDA error"]
    assert [row["preset"] for row in found.rows] == ["crowsonkb"]


@pytest.mark.parametrize("work", [timing.count_launches, programs.sanitize])
def test_what_needs_cuda_says_so(work: Any) -> None:
    with pytest.raises(SkippedError, match="no CUDA"):
        work(CPU)


def test_a_step_is_counted_in_whatever_bursts_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated on the CPU: additions count as launches."""
    monkeypatch.setattr(timing, "LAUNCHES", "aten::add")
    counted = []
    for burst in (1, 2):
        monkeypatch.setattr(devices, "steps_per_wait", lambda device, burst=burst: burst)
        counted.append(timing.count_step("cpu", 32, is_captured=False))
    assert counted[0][0] == 0
    assert counted[0][1] > 5
    assert counted[1] == counted[0]


def test_captured_steps_launch_less_or_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {False: (600.0, 620.0), True: (600.0, 1.0)}
    monkeypatch.setattr(timing, "count_step", lambda device, size, *, is_captured: counts[is_captured])
    found = timing.count_launches(CUDA)
    assert found.findings == []
    assert found.summary == "600 kernels a step, 620 launches eager and 1.0 with a graph"
    counts[True] = (600.0, 610.0)
    assert len(timing.count_launches(CUDA).findings) == 1


@pytest.mark.parametrize(
    ("status", "output", "findings"),
    [
        (0, "painting on cpu: loss 1\npainting on cuda:0: loss 1\n", []),
        (1, "painting on cuda:0: no loss; PROBLEM: it fails\n", ["painting on cuda:0: no loss; PROBLEM: it fails"]),
        (0, "painting on cpu: loss 1\n", ["impasto doctor painted on no CUDA device"]),
        (-11, "", ["impasto doctor ended with -11: gone", "impasto doctor painted on no CUDA device"]),
    ],
)
def test_what_doctor_says_counts(
    status: int, output: str, findings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = SimpleNamespace(returncode=status, stdout=output, stderr="gone")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert programs.ask_doctor(CUDA).findings == findings


@pytest.mark.parametrize(("status", "finding"), [(0, None), (87, "wrong use of memory"), (1, "ended with 1")])
def test_what_the_sanitizer_says_counts(status: int, finding: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    done = SimpleNamespace(returncode=status, stdout="", stderr="========= COMPUTE-SANITIZER\n========= Invalid read")
    monkeypatch.setattr(programs, "find_sanitizer", lambda: "compute-sanitizer")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    found = programs.sanitize(CUDA).findings
    assert found == [] if finding is None else finding in found[0]


def test_a_part_that_fails_is_a_result() -> None:
    def fail(given: Given) -> Found:
        raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")

    def skip(given: Given) -> Found:
        raise SkippedError("no CUDA")

    def leave(given: Given) -> Found:
        raise SystemExit("the command failed: out of memory")

    results = [entry.perform(Part("name", "title", work, 1), CPU) for work in (fail, skip, leave)]
    assert [result.status for result in results] == ["failed", "skipped", "failed"]
    assert results[0].findings == ("RuntimeError: CUDA error: an illegal memory access was encountered",)
    assert results[1].summary == "skipped: no CUDA"
    assert "out of memory" in results[2].findings[0]
    assert Result.from_json(results[0].to_json()) == results[0]


def test_a_part_whose_process_crashes_or_hangs_is_a_result() -> None:
    crashed = entry.perform_apart(entry.PARTS[1], Given(("nonsense",)), 60)
    assert crashed.status == "failed"
    assert "device 'nonsense' is unknown" in crashed.findings[0]
    hung = entry.perform_apart(entry.PARTS[1], CPU, 0.1)
    assert hung.status == "failed"
    assert "did not end" in hung.findings[0]


def test_every_part_is_written_down_as_soon_as_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[int] = []

    def perform(part: Part, given: Given, seconds: float) -> Result:
        file = tmp_path / "results.json"
        written.append(len(json.loads(file.read_text())["parts"]) if file.exists() else 0)
        if part.name == "agree":
            return Result(part.name, "failed", 2.0, "they do not", ("pixels differ",), ({"device": "cpu"},))
        return Result(part.name, "passed", 1.0, "all is well")

    monkeypatch.setattr(entry, "perform_apart", perform)
    chosen = ["--only", "doctor", "--only", "agree", "--only", "graphs"]
    with pytest.raises(SystemExit) as ended:
        entry.main(["-o", str(tmp_path), "--devices", "cpu,cpu", *chosen])
    assert ended.value.code == 1
    assert written == [0, 1, 2]
    page = (tmp_path / "results.md").read_text()
    assert "| agree | failed | 2 | they do not |" in page
    assert "- FINDING: pixels differ" in page
    printed = capsys.readouterr().out
    assert "agree: CPU, float32 and bfloat16 agree on a picture ...\nagree: failed in 2 s: they do not" in printed


def test_what_does_not_fit_into_the_time_is_said(tmp_path: Path) -> None:
    (result,) = entry.prove(entry.PARTS[:1], CPU, tmp_path, seconds=0)
    assert (result.status, result.summary) == ("failed", "not begun")


def test_rows_of_different_measurements_share_a_table() -> None:
    rows = ({"size": 64, "ms": 1.23456}, {"size": 128, "ms": None, "peak": "a|b"})
    page = report.page(MACHINE, ["cuda:0"], [Result("times", "passed", 1.0, "fast", (), rows)])
    assert "# GPU test on cuda:0\n\nSome GPU, torch 2.13.0, Python 3.12.\n" in page
    assert "| size | ms | peak |\n|---|---|---|\n| 64 | 1.235 |  |\n| 128 |  | a\\|b |\n" in page


def test_without_a_gpu_the_proof_says_what_to_do(tmp_path: Path) -> None:
    for arguments, message in (([], "no GPU was found; --devices cpu,cpu"), (["--devices", "cuda:7"], "choose cpu")):
        with pytest.raises(SystemExit, match=message):
            entry.main(["-o", str(tmp_path), *arguments])


@pytest.mark.slow
def test_the_whole_proof_with_the_cpu_for_two_devices(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "scripts" / "prove_gpu"), "-o", str(tmp_path)]
    done = subprocess.run(
        [*command, "--quick", "--devices", "cpu,cpu"], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    statuses = {part["part"]: part["status"] for part in results["parts"]}
    skipped = {"launches", "sanitizer"}
    assert statuses == {part.name: "skipped" if part.name in skipped else "passed" for part in entry.PARTS}
    (agreed,) = (part for part in results["parts"] if part["part"] == "agree")
    assert [(row["device"], row["precision"]) for row in agreed["rows"]] == [
        ("cpu", "float32"),
        ("cpu", "bfloat16"),
    ] * 2
