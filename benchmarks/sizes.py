"""The default recipe's time per step and peak memory for pictures of several sizes, one scale and one process a size.

scripts/bench sizes                               128 to 2048 px on the CPU
scripts/bench sizes --size 4096 --steps 3         one size
scripts/bench sizes --device cuda --name NAME     on the GPU
scripts/bench sizes --option=--max-memory=2G      an option of impasto's own, for all sizes
"""

import argparse
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import charts, measured, pictures, records
from benchmarks.records import Part, Row

JOB = "sizes"
SIZES = (128, 256, 512, 1024, 2048)
KEY = ("options", "size")


def default_steps(size: int, device: str) -> int:
    """Return how many steps are measured: fewer at large sizes, where a step takes long and its time varies little."""
    if device.startswith("cuda"):
        # CUDA reports steps in bursts of ten; the first of four bursts warms up.
        return 40
    return 10 if size <= 512 else 6 if size <= 1024 else 4


def measure(size: int, steps: int, device: str, options: Sequence[str]) -> Row:
    """Paint `steps` steps of one size in a process of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        content, style = pictures.pair(folder, size)
        painted = measured.paint(
            content, style, "-o", str(folder / "out.png"), "--device", device,
            "--size", str(size), "--start-size", "final", "--steps", str(steps), *options,
        )  # fmt: skip
    return {
        "options": " ".join(options),
        "size": size,
        "steps": steps,
        "step_seconds": painted.step_seconds,
        "first_step_seconds": painted.first_step_seconds,
        "seconds": round(painted.seconds, 2),
        "peak_bytes": painted.peak_bytes,
        "device_peak_bytes": painted.device_peak_bytes,
    }


def measure_all(arguments: argparse.Namespace, sizes: Iterable[int]) -> None:
    """Measure one size after another until one fails; the reason is written to the results."""
    for size in sizes:
        try:
            row = measure(
                size, arguments.steps or default_steps(size, arguments.device), arguments.device, arguments.option
            )
        except SystemExit as failed:
            row = {"options": " ".join(arguments.option), "size": size, "failed": reason(str(failed))}
        records.keep(arguments, JOB, row, KEY)
        if "failed" in row:
            break


def reason(message: str) -> str:
    """Return the last message of impasto in the message of a failed command."""
    said = re.findall(r"\bimpasto: (.*)", message)
    return said[-1] if said else "the command failed without a message"


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    parts = list(records.parts(JOB, folder))
    return "".join([INTRODUCTION, *(_tables(part) for part in parts)]) if parts else ""


INTRODUCTION = """
## Time and memory against size

Made by `scripts/bench sizes`: a square picture with the default recipe at a single scale, each size in a process of its
own. The time of a step is the median time from one step to the next, without the first one. "ns per pixel" is this time
divided by the number of pixels of the picture. The time of the first step counts from the start of the run, with
loading the network and computing the features of the photo and the painting. Memory is the largest resident set of the
process, or on a GPU the largest amount that PyTorch held there.

![seconds per step](pictures/step_seconds.svg) ![peak memory](pictures/peak_memory.svg)
"""


def _tables(part: Part) -> str:
    columns = ("size", "s per step", "ns per pixel", "first step, s", "peak GB")
    lines = ["", f"### {records.described(part['machine'])}", ""]
    for options in sorted({row["options"] for row in part["rows"]}):
        rows = [row for row in part["rows"] if row["options"] == options]
        lines += [f"With `{options}`:", ""] if options else []
        lines += [*records.table(columns, [_cells(row) for row in rows]), ""]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    if "failed" in row:
        return str(row["size"]), row["failed"], "", "", ""
    step = row["step_seconds"]
    return (
        str(row["size"]),
        f"{step:.3g}" if step else "",
        f"{nanoseconds(row):.0f}" if step else "",
        f"{row['first_step_seconds']:.2f}",
        f"{memory(row) / 1e9:.2f}",
    )


def nanoseconds(row: Row) -> float:
    """Return the time per pixel and step, in nanoseconds."""
    return float(row["step_seconds"] / row["size"] ** 2 * 1e9)


def memory(row: Row) -> int:
    """Return the peak memory in bytes, on the GPU if the picture was painted there."""
    return int(row["device_peak_bytes"] or row["peak_bytes"])


def plots(folder: Path = records.RESULTS) -> dict[str, str]:
    """Return the SVG files of the section by name; none where there are no results."""
    steps: charts.Series = {}
    peaks: charts.Series = {}
    for part in records.parts(JOB, folder):
        for options in sorted({row["options"] for row in part["rows"]}):
            name = f"{records.device(part['machine'])} {options}".strip()
            good = [row for row in part["rows"] if row["options"] == options and row.get("step_seconds")]
            if good:
                steps[name] = [(row["size"] ** 2, row["step_seconds"]) for row in good]
                peaks[name] = [(row["size"] ** 2, memory(row) / 1e9) for row in good]
    if not steps:
        return {}
    return {
        "step_seconds.svg": charts.log_log("Seconds per step", "pixels", "s", steps),
        "peak_memory.svg": charts.log_log("Peak memory", "pixels", "GB", peaks),
    }


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench sizes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, action="append", help=f"side in pixels; all of {SIZES} if left out")
    parser.add_argument("--steps", type=int, help="steps painted [10, on CUDA 40; elsewhere fewer for large ones]")
    parser.add_argument("--option", action="append", default=[], metavar="--X=Y", help="an option of impasto stylize")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    measure_all(arguments, arguments.size or SIZES)
