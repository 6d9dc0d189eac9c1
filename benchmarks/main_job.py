"""The main job: time, peak memory and scores of `impasto stylize`, each case in a process of its own.

scripts/bench                          all cases; the results go to benchmarks/results/
scripts/bench --size 512 --pair night  some cases
scripts/bench --report                 write docs/benchmarks.md from the results
"""

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measured, quality, records
from benchmarks.records import SAMPLES, Row

JOB = "main"
KEY = ("recipe", "size", "pair")
PAIRS = {
    "night": ("rocket.jpg", "night_swirls.jpg"),
    "woodcut": ("chelsea.jpg", "woodcut.jpg"),
    "portrait": ("astronaut.jpg", "autumn_knife.jpg"),
    "flat": ("coffee.jpg", "mosaic.jpg"),
    "abstract": ("coffee.jpg", "bauhaus.jpg"),
    "watercolour": ("chelsea.jpg", "watercolor.jpg"),
    "photograph": ("chelsea.jpg", "coffee.jpg"),
}
SIZES = (256, 512, 1024)


def measure(content: Path, style: Path, out: Path, size: int, recipe: str, device: str) -> Row:
    """Run one case in a process of its own and return its time, memory, loss and scores."""
    painted = measured.paint(
        str(content), str(style), "-o", str(out), "--size", str(size), "--recipe", recipe, "--device", device
    )
    return {
        "seconds": round(painted.seconds, 2),
        "optimisation_seconds": round(painted.optimisation_seconds, 2),
        "peak_bytes": painted.memory,
        "loss": painted.loss,
        **{name: round(value, 4) for name, value in quality.scores(str(out), str(content), str(style)).items()},
    }


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    lines = []
    for part in records.parts(JOB, folder):
        cells = [
            (
                row["recipe"],
                str(row["size"]),
                row["pair"],
                f"{row['seconds']:.1f}",
                f"{row['peak_bytes'] / 1e9:.2f}",
                f"{row['style']:.3f}",
                f"{row['content']:.3f}",
            )
            for row in part["rows"]
        ]
        columns = ("recipe", "size", "pair", "seconds", "peak GB", "style", "content")
        lines += ["", f"## {records.described(part['machine'])}", "", *records.table(columns, cells)]
    return "\n".join([INTRODUCTION, *lines, ""]) if lines else ""


INTRODUCTION = """
Made by `scripts/bench --report` from `benchmarks/results/`. The seconds are those of the whole command, from start to
saved file. Peak memory is the largest resident set of the process, or on a GPU the largest amount that PyTorch held
there. The style and content distances are computed by `benchmarks/quality.py`; no recipe optimises them. A style
distance of 0 is the painting, 1 the unchanged photo; a content distance of 0 is the photo. Compare them only between
results of the same pair at the same size. These rows were measured before the recipes transported the palette; what
that changes is in [recipes](recipes.md#how-it-was-tuned)."""


def main(given: Sequence[str] | None = None) -> None:
    """Run the cases asked for; each result replaces an older one of the same case."""
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, action="append", help=f"long side in pixels; all of {SIZES} if left out")
    parser.add_argument("--pair", choices=PAIRS, action="append", help="all if left out")
    parser.add_argument("--recipe", action="append", help="default if left out")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the pictures there")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    cases = itertools.product(arguments.recipe or ["default"], arguments.size or SIZES, arguments.pair or PAIRS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for recipe, size, pair in cases:
            content, style = (SAMPLES / name for name in PAIRS[pair])
            out = folder / f"{pair}-{size}-{recipe}.png"
            row = measure(content, style, out, size, recipe, arguments.device)
            records.keep(arguments, JOB, {"recipe": recipe, "size": size, "pair": pair, **row}, KEY)


if __name__ == "__main__":
    main()
