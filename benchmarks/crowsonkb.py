"""style-transfer-pytorch's recipe in a plain PyTorch loop, projected from a few steps, compared with `impasto stylize`.

scripts/bench crowsonkb                       512 px on the CPU, once
scripts/bench crowsonkb --repeat 3            three times, the two in turn
scripts/bench crowsonkb --device cuda --name NAME
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measured, processes, records
from benchmarks.records import Part, Row

JOB = "crowsonkb"
KEY = ("size",)


def projected(scales: Sequence[dict[str, Any]]) -> float:
    """Return the seconds that all steps of all scales take, from the measured time of one step at each scale."""
    return float(sum(scale["step_seconds"] * scale["steps"] for scale in scales))


def turn(arguments: argparse.Namespace) -> Row:
    """Measure both once, each in a process of its own."""
    pictures = [str(arguments.content), str(arguments.style)]
    common = ["--size", str(arguments.size), "--device", arguments.device]
    loop = [sys.executable, "-m", "benchmarks.peers.plain_loop", *pictures, "--steps", str(arguments.steps), *common]
    ended = processes.run(loop)
    scales = [json.loads(line) for line in ended.output.splitlines()]
    with tempfile.TemporaryDirectory() as temporary:
        out = str(Path(temporary) / "out.png")
        painted = measured.paint(*pictures, "-o", out, *common, *arguments.option)
    return {
        "scales": scales,
        "projected_seconds": projected(scales),
        "seconds": painted.seconds,
        "optimisation_seconds": painted.optimisation_seconds,
    }


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    parts = list(records.parts(JOB, folder))
    return "".join([INTRODUCTION, *(_machine(part) for part in parts)]) if parts else ""


INTRODUCTION = """
## Compared with style-transfer-pytorch's recipe in a plain loop

Made by `scripts/bench crowsonkb`. `benchmarks/peers/plain_loop.py` is a plain PyTorch loop (standard modules, autograd,
torch.optim.Adam) with that program's objective, sizes and numbers of steps (the recipe `crowsonkb`). The loop is not
run to its end. Its time is projected: a few steps are timed at every scale, and their median is multiplied by the
number of steps of the scale, without start-up and resampling. impasto's time is that of the whole command
`impasto stylize` with the default recipe, from start to saved file, measured in turn with the loop. The recipes differ,
so this compares how long a person waits for a picture, not how fast the loops are.
"""


def _machine(part: Part) -> str:
    lines = ["", f"### The plain loop on {records.described(part['machine'])}", ""]
    for row in part["rows"]:
        cells = _scales(row["turns"])
        lines += [*records.table(("scale", "steps", "s per step", "projected s"), cells), "", ratio(row), ""]
    return "\n".join(lines)


def _scales(turns: Sequence[Row]) -> list[tuple[str, ...]]:
    cells: list[tuple[str, ...]] = []
    for scales in zip(*(one["scales"] for one in turns), strict=True):
        step = statistics.median(scale["step_seconds"] for scale in scales)
        steps = scales[0]["steps"]
        size = f"{scales[0]['width']} x {scales[0]['height']}"
        cells.append((size, str(steps), f"{step:.3g}", f"{step * steps:.0f}"))
    return cells


def ratio(row: Row) -> str:
    """Return the seconds of both and their ratio, with the smallest and largest ratio of the turns, as one sentence."""
    turns = row["turns"]
    loop = statistics.median(one["projected_seconds"] for one in turns)
    ours = statistics.median(one["seconds"] for one in turns)
    ratios = [one["projected_seconds"] / one["seconds"] for one in turns]
    spread = f" ({min(ratios):.3g} to {max(ratios):.3g} in {len(turns)} turns)" if len(turns) > 1 else " (one turn)"
    options = f" with `{row['options']}`" if row["options"] else ""
    return (
        f"{row['pair']}, {row['size']} px: the plain loop {loop:.0f} s, projected from {row['steps_timed']} timed "
        f"steps a scale; `impasto stylize`{options} {ours:.1f} s; {statistics.median(ratios):.3g} times as fast"
        f"{spread}."
    )


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench crowsonkb", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--content", type=Path, default=records.SAMPLES / "astronaut.jpg")
    parser.add_argument("--style", type=Path, default=records.SAMPLES / "autumn_knife.jpg")
    parser.add_argument("--size", type=int, default=512, help="long side in pixels [512]")
    parser.add_argument("--steps", type=int, default=3, help="of the loop, timed at each scale after a warm-up [3]")
    parser.add_argument("--repeat", type=int, default=1, help="turns [1]")
    parser.add_argument("--option", action="append", default=[], metavar="--X=Y", help="an option of impasto stylize")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    turns: list[Row] = []
    for _ in range(arguments.repeat):
        turns.append(turn(arguments))
        row = {
            "size": arguments.size,
            "pair": f"{arguments.content.stem} + {arguments.style.stem}",
            "steps_timed": arguments.steps,
            "options": " ".join(arguments.option),
            "turns": turns,
        }
        records.keep(arguments, JOB, row, KEY)
