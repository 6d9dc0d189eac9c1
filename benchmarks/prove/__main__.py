"""Test whether impasto works on this machine's GPU, with one command, within eight minutes.

scripts/prove_gpu -o FOLDER                            everything; FOLDER gets results.md and results.json
scripts/prove_gpu -o FOLDER --only agree --only graphs some parts
scripts/prove_gpu -o FOLDER --quick --devices cpu,cpu  small sizes, with the CPU in place of two GPUs

Exits with 1 if a part failed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import records
from benchmarks.prove import painting, programs, report, timing
from benchmarks.prove.part import Found, Given, Part, Result, SkippedError
from impasto.engine import devices
from impasto.errors import ImpastoError

# The most important first, so that an interrupted run has them. The time limits are a multiple of our estimate for an
# H100, where the parts have not been timed.
PARTS = (
    Part("doctor", "impasto doctor paints on each device", programs.ask_doctor, 90),
    Part("agree", "CPU, float32 and bfloat16 agree on a picture", painting.agree, 120),
    Part("graphs", "three shapes at three scales, and the first again", painting.keep_graphs, 90),
    Part("times", "cold process, first and second picture", timing.time_pictures, 120),
    Part("memory", "twenty pictures with each preset", painting.watch_memory, 150),
    Part("large", "a photo of 8000 px", painting.paint_large, 90),
    Part("launches", "kernels and launches of a step", timing.count_launches, 60),
    Part("peers", "other programs' settings", timing.compare_peers, 150),
    Part("sanitizer", "two pictures under compute-sanitizer", programs.sanitize, 150),
)
# Eight minutes for all parts.
SECONDS = 480.0


def perform(part: Part, given: Given) -> Result:
    """Run a part in this process."""
    begun = time.perf_counter()
    try:
        found = part.work(given)
    except SkippedError as reason:
        return Result(part.name, "skipped", time.perf_counter() - begun, f"skipped: {reason}")
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())[-500:]
        found = Found(findings=[f"{type(error).__name__}: {text}"], summary="it failed")
    return Result.of(part.name, found, time.perf_counter() - begun)


def perform_apart(part: Part, given: Given, seconds: float) -> Result:
    """Run a part in a process of its own, which may crash, and is killed after `seconds`."""
    command = [sys.executable, "-m", "benchmarks.prove", "--child", part.name, "--devices", ",".join(given.devices)]
    begun = time.perf_counter()
    with subprocess.Popen(
        [*command, *(["--quick"] if given.quick else [])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=records.ROOT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            found = Found(findings=[f"did not end in {seconds:.0f} s"], summary="it was given up")
            return Result.of(part.name, found, time.perf_counter() - begun)
        except BaseException:
            _kill_group(process)
            raise
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if lines:
        return Result.from_json(lines[-1].removeprefix(_MARK))
    text = " ".join(errors.split())[-500:]
    found = Found(findings=[f"its process ended with {process.returncode}: {text}"], summary="it crashed")
    return Result.of(part.name, found, time.perf_counter() - begun)


# Begins the line of the result on stdout, since commands of the part may print there too.
_MARK = "impasto-prove-result "


def _kill_group(process: "subprocess.Popen[str]") -> None:
    """Kill a process and those that it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def prove(parts: Sequence[Part], given: Given, folder: Path, seconds: float = SECONDS) -> list[Result]:
    """Run the parts one after another; print a line before and after each, and write the results after each."""
    machine = records.machine(given.device)
    deadline = time.monotonic() + seconds
    results: list[Result] = []
    for part in parts:
        print(f"{part.name}: {part.title} ...", flush=True)
        left = deadline - time.monotonic()
        if left > 1:
            result = perform_apart(part, given, min(part.seconds, left))
        else:
            late = Found(findings=[f"not begun within {seconds:.0f} s"], summary="not begun")
            result = Result.of(part.name, late, 0.0)
        results.append(result)
        findings = "".join(f"\n  FINDING: {finding}" for finding in result.findings)
        print(f"{part.name}: {result.status} in {result.seconds:.0f} s: {result.summary}{findings}", flush=True)
        report.write(folder, machine, given.devices, results)
    return results


def chosen_devices(names: str | None) -> tuple[str, ...]:
    """Return the devices to prove: those named, or every GPU that can be used.

    Raises:
        SystemExit: there is none, or one that was named.

    """
    try:
        if names is not None:
            return tuple(str(device) for name in names.split(",") for device in devices.devices(name))
        chosen, notes = devices.choose("auto", computes=False)
    except ImpastoError as error:
        raise SystemExit(f"scripts/prove_gpu: {error}") from error
    if chosen[0].type == "cpu":
        why = "; ".join(notes) or "no GPU was found"
        raise SystemExit(f"scripts/prove_gpu: {why}; --devices cpu,cpu uses the CPU in place of two GPUs")
    return tuple(map(str, chosen))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the requested parts."""
    parser = argparse.ArgumentParser(
        "scripts/prove_gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [part.name for part in PARTS]
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="for results.md and results.json")
    parser.add_argument("--only", action="append", choices=names, metavar="PART", help=f"one of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="smallest sizes and counts")
    parser.add_argument("--devices", metavar="NAME,...", help="[every GPU there is]")
    parser.add_argument("--child", choices=names, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    chosen = Given(chosen_devices(given.devices), given.quick)
    if given.child:
        if chosen.has_cuda:
            torch.cuda.set_device(chosen.device)
        (part,) = (part for part in PARTS if part.name == given.child)
        print(_MARK + perform(part, chosen).to_json(), flush=True)
        return
    if given.output is None:
        parser.error("-o FOLDER is needed, for the results")
    results = prove([part for part in PARTS if not given.only or part.name in given.only], chosen, given.output)
    raise SystemExit(any(result.status == "failed" for result in results))


if __name__ == "__main__":
    main()
