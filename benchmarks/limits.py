"""The fastest arithmetic and copies of a machine, and the parts of one step of the default recipe, in the same run.

scripts/bench limits                         a step at 512 px on the CPU
scripts/bench limits --size 1024 --device cuda --name NAME
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from benchmarks import breakdown, floor, measured, pictures, rates, records
from benchmarks.records import Part, Row
from impasto.recipe import Compute, Inputs

JOB = "limits"
KEY = ("size",)
# Steps before the profiled one: the first ones warm up, the others give the time of a step without the profiler.
STEPS = 6


def step(size: int, device: str) -> Row:
    """Paint some steps, the last one under the profiler, and return the time of its parts."""
    from impasto import Stepped
    from impasto.engine import devices
    from impasto.jobs.job import Job
    from impasto.recipe import presets

    recipe = presets.get("default").replace(size=size, start_size="final", steps=(STEPS + 2,))
    with tempfile.TemporaryDirectory() as temporary:
        content, style = pictures.pair(Path(temporary), size)
        run = Job(Inputs.of(content, [style]), recipe, compute=Compute(device)).start()
    stepped = (event for event in run if isinstance(event, Stepped))
    # GPUs report several steps at once; here every step is waited for.
    with mock.patch.object(devices, "steps_per_wait", return_value=1):
        times = [event.seconds for event in itertools.islice(stepped, STEPS)]
        operations = breakdown.record(lambda: next(stepped), device)
    canvas = size + 2 * round(recipe.margin * size)
    image_size = 3 * canvas**2
    parts = breakdown.parts(operations, image_size)
    usual = measured.step_seconds(times)
    assert usual is not None
    return {
        "size": size,
        "canvas": canvas,
        "operations": floor.step_operations(recipe, canvas, canvas),
        "step_seconds": usual,
        "parts": parts | {breakdown.OUTSIDE: max(0.0, usual - sum(parts.values()))},
        "layers": breakdown.by_layer(operations, image_size),
        "rest": breakdown.largest(operations, image_size, breakdown.REST),
    }


def floor_seconds(row: Row) -> float:
    """Return how long the operations of a step take at the rate of float32 matrix products."""
    return float(row["operations"] / row["products_gflops"]["float32"] / 1e9)


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    parts = list(records.parts(JOB, folder))
    return "".join([INTRODUCTION, *(_machine(part) for part in parts)]) if parts else ""


INTRODUCTION = """
## One step, compared with the machine's limits

Made by `scripts/bench limits`, which measures the rates of the fastest matrix products and copies in PyTorch and, in
the same run, the parts of one step of the default recipe on a square picture, by PyTorch's profiler. The floor is the
time that the operations of the step (convolutions and sums of outer products by their definition, forward and backward)
would take at the rate of float32 matrix products. A step is faster than the floor if convolutions need fewer
multiplications, as with Winograd's method, or are computed with less precision.
"""


def _machine(part: Part) -> str:
    lines = ["", f"### Limits of {records.described(part['machine'])}", ""]
    for row in part["rows"]:
        products = ", ".join(f"{name} {rate:.0f}" for name, rate in row["products_gflops"].items())
        least = floor_seconds(row)
        lines += [
            f"Matrix products in GFLOP/s: {products}; copies {row['copies_gbps']:.1f} GB/s. A step at {row['size']} px "
            f"(canvas {row['canvas']} px): {row['step_seconds']:.3g} s; floor {least:.3g} s "
            f"({row['operations'] / 1e9:.0f} GFLOP); step / floor {row['step_seconds'] / least:.2f}.",
            "",
            *records.table(("part", "ms", "of the step"), _shares(row["parts"])),
            "",
            *records.table(("convolutions", "forward, ms", "backward, ms"), _layers(row["layers"])),
            "",
            "The largest operations of everything else: "
            + ", ".join(f"`{name}` {1e3 * seconds:.1f} ms" for name, seconds in row["rest"].items())
            + ".",
            "",
        ]
    return "\n".join(lines)


def _shares(parts: dict[str, float]) -> list[tuple[str, ...]]:
    # The sum of the parts, because the profiler makes the step a little slower.
    whole = sum(parts.values())
    return [
        (name, f"{1e3 * seconds:.1f}", f"{100 * seconds / whole:.0f} %")
        for name, seconds in sorted(parts.items(), key=lambda part: -part[1])
    ]


def _layers(layers: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    forward, backward = (layers.get(direction, {}) for direction in (breakdown.FORWARD, breakdown.BACKWARD))
    names = sorted(forward | backward, key=lambda name: -forward.get(name, 0) - backward.get(name, 0))
    return [
        (name, *(f"{1e3 * side[name]:.1f}" if name in side else "" for side in (forward, backward))) for name in names
    ]


def measure(arguments: argparse.Namespace, size: int) -> None:
    """Measure the limits and a step, and write the results."""
    records.keep(arguments, JOB, rates.limits(arguments.device) | step(size, arguments.device), KEY)


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench limits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side in pixels [512]")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    measure(arguments, arguments.size)
