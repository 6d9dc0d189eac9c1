"""Many pictures: a loop over `impasto.stylize`, `impasto batch` in one process, and with a worker for each core.

scripts/bench throughput                        6 pictures of 128 px on the CPU, 3 turns
scripts/bench throughput --count 20 --size 64
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import pictures, processes, records
from benchmarks.records import Row

JOB = "throughput"
KEY = ("count", "size")
LOOP, INLINE, WORKERS = "loop", "inline", "workers"


def loop(photos: str, style: str, out: str, size: str, device: str) -> None:
    """Paint the photos of a folder one after another."""
    import impasto

    Path(out).mkdir()
    for photo in sorted(Path(photos).iterdir()):
        impasto.stylize(photo, style, size=int(size), device=device).save(Path(out) / f"{photo.stem}.png")


def pace(out: Path, warm: int) -> float:
    """Return the seconds for a picture, by the times of the files, without the first `warm` of them."""
    times = sorted(path.stat().st_mtime for path in out.glob("*.png"))
    return (times[-1] - times[warm - 1]) / (len(times) - warm)


def turn(kind: str, folder: Path, style: str, size: int, device: str, cores: int) -> tuple[float, float]:
    """Return the seconds of the whole process, and for one picture after the first ones."""
    out = folder / kind
    shutil.rmtree(out, ignore_errors=True)
    photos = str(folder / "photos")
    if kind == LOOP:
        call = "import sys; from benchmarks import throughput; throughput.loop(*sys.argv[1:])"
        command = [sys.executable, "-c", call, photos, style, str(out), str(size), device]
    else:
        on = ["--on", "inline"] if kind == INLINE else ["--on", "local", "--workers", str(cores)]
        command = [sys.executable, "-m", "impasto", "batch", photos, style, "-o", f"{out}/{{content}}.png"]
        command += ["--size", str(size), "--device", device, *on]
    # One thread for each core; waiting threads sleep, as they do in the command.
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores), "OMP_WAIT_POLICY": "PASSIVE"}
    ended = processes.run(command, environment, records.ROOT, errors=True)
    return ended.seconds, pace(out, cores if kind == WORKERS else 1)


def measure(count: int, size: int, turns: int, device: str) -> Row:
    """Time all three ways in turn."""
    cores = len(os.sched_getaffinity(0))
    found: dict[str, list[tuple[float, float]]] = {LOOP: [], INLINE: [], WORKERS: []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        content, style = pictures.pair(folder, size)
        (folder / "photos").mkdir()
        for index in range(count):
            shutil.copy(content, folder / "photos" / f"{index:03}{Path(content).suffix}")
        for _ in range(turns):
            for kind, times in found.items():
                times.append(turn(kind, folder, style, size, device, cores))
    load = os.getloadavg()[0]
    return {"count": count, "size": size, "load": load, **found}


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    rows = [
        (
            records.described(part["machine"]),
            f"{row['count']} of {row['size']} px",
            *(_spread([pace for _, pace in row[kind]], "{:.2f}") for kind in (LOOP, INLINE, WORKERS)),
            _spread(ratios(row, INLINE, LOOP), "{:.3f}"),
            _spread(ratios(row, INLINE, WORKERS), "{:.2f}"),
            f"{row['load']:.1f}",
        )
        for part in records.parts(JOB, folder)
        for row in part["rows"]
    ]
    columns = ("machine", "pictures", "loop", "one process", "a worker a core", "overhead", "gain by workers", "load")
    return "\n".join([INTRODUCTION, *records.table(columns, rows), ""]) if rows else ""


def ratios(row: Row, over: str, under: str) -> list[float]:
    """Return the ratio of the seconds for a picture in each turn."""
    return [one / other for (_, one), (_, other) in zip(row[over], row[under], strict=True)]


def _spread(values: Sequence[float], form: str) -> str:
    low, middle, high = (form.format(each) for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


INTRODUCTION = """
## Throughput of a batch

Made by `scripts/bench throughput`: seconds for a picture with the default recipe, without the first pictures, in a loop
over `impasto.stylize` with all cores, with `impasto batch --on inline` and all cores, and with as many workers as
cores, each with one core. They are measured in turn; the table has the medians and, in brackets, the smallest and
largest values. The overhead is the time of one process divided by that of the loop. The gain is the time of one process
divided by that of the workers, so above 1 the workers are faster. The load is that of the machine at the end: if it is
more than the number of cores, other programs were running.
"""


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench throughput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=6, help="pictures [6]")
    parser.add_argument("--size", type=int, default=128, help="side in pixels [128]")
    parser.add_argument("--turns", type=int, default=3, help="turns [3]")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    row = measure(arguments.count, arguments.size, arguments.turns, arguments.device)
    records.keep(arguments, JOB, row, KEY)
