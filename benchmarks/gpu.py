"""All measurements for a CUDA machine: the default recipe at some sizes, time and memory by size, the limits.

scripts/bench gpu                          results go to benchmarks/results/NAME.json, NAME being the GPU's
scripts/bench gpu --size 512 --to 4096     fewer sizes
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import limits, measured, pictures, records, sizes
from benchmarks.records import Row

JOB = "gpu"
KEY = ("size", "run")
SIZES = (512, 1024, 2048)
# 8192 px are 67 megapixels.
LARGEST = 8192
# The names of the three runs at each size, in their order.
RUNS = ("first", "second", "second of its process")


def refuse_without_cuda() -> None:
    """End with one line if there is no CUDA device.

    Raises:
        SystemExit: there is none.

    """
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else " (this PyTorch is a build without CUDA)"
        raise SystemExit(f"scripts/bench gpu: no CUDA device was found{built}; run it on a machine that has one")


def name_of(device: str) -> str:
    """Return a GPU's name as the name of a file: `nvidia-h100-80gb-hbm3`."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def runs(size: int, device: str) -> list[Row]:
    """Paint a picture with a command, then twice more in one other process.

    The second run finds the machine's caches filled by the first, the third also those of its process.
    """
    with tempfile.TemporaryDirectory() as temporary:
        content, style = pictures.pair(Path(temporary), size)
        options = (content, style, "-o", str(Path(temporary) / "out.png"), "--size", str(size), "--device", device)
        painted = [measured.paint(*options), *measured.paint_repeatedly(2, *options)]
    return [
        {
            "size": size,
            "run": run,
            "seconds": one.seconds,
            "optimisation_seconds": one.optimisation_seconds,
            "first_step_seconds": one.first_step_seconds,
            "step_seconds": one.step_seconds,
            "device_peak_bytes": one.device_peak_bytes,
        }
        for run, one in enumerate(painted, 1)
    ]


def doubled(largest: int) -> list[int]:
    """Return the sizes measured: 128 px and its doubles."""
    return [128 * 2**power for power in range(10) if 128 * 2**power <= largest]


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    lines: list[str] = []
    for part in records.parts(JOB, folder):
        cells = [
            (
                str(row["size"]),
                RUNS[row["run"] - 1],
                f"{row['seconds']:.2f}",
                f"{row['optimisation_seconds']:.2f}",
                f"{row['first_step_seconds']:.2f}",
                f"{1e3 * row['step_seconds']:.1f}" if row["step_seconds"] else "",
                f"{(row['device_peak_bytes'] or 0) / 1e9:.2f}",
            )
            for row in part["rows"]
        ]
        columns = ("size", "run", "seconds", "optimisation, s", "to the first step, s", "ms per step", "peak GB")
        lines += ["", f"### {records.described(part['machine'])}", "", *records.table(columns, cells), ""]
    return "\n".join([INTRODUCTION, *lines]) if lines else ""


INTRODUCTION = (
    """
## On a GPU

Made by `scripts/bench gpu`: `impasto stylize` paints a square picture with the default recipe, in a process of its own
and then twice in another process. The seconds are those of the whole command, with saving the picture; the start of
Python counts for the first picture of a process only. The optimisation begins with loading the network. The time of a
step is the median at the last scale; it is empty if all its steps are reported at once. Memory is the largest amount
that PyTorch held on the GPU."""
    ""
)


def main(given: Sequence[str] | None = None) -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(
        "scripts/bench gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, action="append", help=f"of the whole recipe, all of {SIZES} if left out")
    parser.add_argument("--to", type=int, default=LARGEST, help=f"largest size of time and memory by size [{LARGEST}]")
    parser.add_argument("--option", action="append", default=[], metavar="--X=Y", help="impasto's, by size only")
    records.add_options(parser)
    parser.set_defaults(device="cuda", steps=None)
    arguments = parser.parse_args(given)
    refuse_without_cuda()
    arguments.name = arguments.name or name_of(torch.cuda.get_device_name())
    for size in arguments.size or SIZES:
        for row in runs(size, arguments.device):
            records.keep(arguments, JOB, row, KEY)
    sizes.measure_all(arguments, doubled(arguments.to))
    for size in arguments.size or SIZES:
        limits.measure(arguments, size)
