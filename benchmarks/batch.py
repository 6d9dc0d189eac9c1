"""Many small pictures: calls of `impasto.stylize` in one process, compared with a command for each picture.

scripts/bench batch                        8 pictures of 128 px on the CPU
scripts/bench batch --count 20 --size 64
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measured, pictures, processes, records
from benchmarks.records import Row

JOB = "batch"
KEY = ("count", "size")


def paint(content: str, style: str, folder: str, count: str, size: str, device: str) -> None:
    """Paint the same picture `count` times in this process."""
    import impasto

    for index in range(int(count)):
        impasto.stylize(content, style, size=int(size), device=device).save(Path(folder) / f"one-{index}.png")


def measure(count: int, size: int, device: str) -> Row:
    """Measure both ways."""
    call = "import sys; from benchmarks import batch; batch.paint(*sys.argv[1:])"
    with tempfile.TemporaryDirectory() as temporary:
        content, style = pictures.pair(Path(temporary), size)
        together = processes.run(
            [sys.executable, "-c", call, content, style, temporary, str(count), str(size), device],
            folder=records.ROOT,
        )
        begun = time.perf_counter()
        for index in range(count):
            out = str(Path(temporary) / f"own-{index}.png")
            measured.paint(content, style, "-o", out, "--size", str(size), "--device", device)
        apart = time.perf_counter() - begun
    return {"count": count, "size": size, "one_process_seconds": together.seconds, "processes_seconds": apart}


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    rows = [
        (
            records.described(part["machine"]),
            f"{row['count']} of {row['size']} px",
            f"{row['one_process_seconds']:.1f}",
            f"{row['processes_seconds']:.1f}",
            f"{row['processes_seconds'] / row['one_process_seconds']:.2f}",
        )
        for part in records.parts(JOB, folder)
        for row in part["rows"]
    ]
    columns = ("machine", "pictures", "one process, s", "a process for each, s", "ratio")
    return "\n".join([INTRODUCTION, *records.table(columns, rows), ""]) if rows else ""


INTRODUCTION = """
## Many pictures

Made by `scripts/bench batch`: the same number of square pictures, painted with the default recipe by calls of
`impasto.stylize` in one process, and by one command for each. The seconds are for all pictures together, from the start
of the first process to the end of the last.
"""


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench batch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=8, help="pictures [8]")
    parser.add_argument("--size", type=int, default=128, help="side in pixels [128]")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    records.keep(arguments, JOB, measure(arguments.count, arguments.size, arguments.device), KEY)
