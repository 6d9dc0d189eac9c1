"""The main job as a person runs it: seconds, peak memory and scores of `impasto stylize`, one process a case.

scripts/bench                          all cases; results to benchmarks/results/
scripts/bench --size 512 --pair night  some
scripts/bench --report                 docs/benchmarks.md from the results
"""

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import processes, quality
from benchmarks.peers import tables

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "examples" / "pictures"
RESULTS = ROOT / "benchmarks" / "results"
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


def measure(content: Path, style: Path, out: Path, size: int, recipe: str, device: str) -> dict[str, Any]:
    """Run one case in a process of its own and return what it took and gave."""
    command = [
        sys.executable, "-m", "impasto", "stylize", str(content), str(style), "-o", str(out), "--force",
        "--size", str(size), "--recipe", recipe, "--device", device, "--json",
    ]  # fmt: skip
    ended = processes.run(command)
    finished = json.loads(ended.output.splitlines()[-1])
    return {
        "seconds": round(ended.seconds, 2),
        "optimisation_seconds": round(finished["seconds"], 2),
        "peak_bytes": ended.peak_bytes,
        "loss": finished["loss"],
        **{name: round(value, 4) for name, value in quality.scores(str(out), str(content), str(style)).items()},
    }


def machine(device: str) -> dict[str, Any]:
    """Describe where the numbers come from."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def report(results: list[dict[str, Any]]) -> str:
    """Return docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `scripts/bench --report` from `benchmarks/results/`. Seconds are of the whole command, from start to",
        "saved file; peak memory is the process's largest resident set. Style and content distances are those of",
        "`benchmarks/quality.py`, which no recipe optimises: style 0 is the painting and 1 the untouched photo,",
        "content 0 is the photo. They compare results of one pair at one size.",
    ]
    for entry in results:
        where = entry["machine"]
        device = where["gpu"] or f"{where['cores']} cores of {where['cpu']}"
        lines += ["", f"## {device}, torch {where['torch']}", ""]
        columns = ("recipe", "size", "pair", "seconds", "peak GB", "style", "content")
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        for row in entry["rows"]:
            lines.append(
                f"| {row['recipe']} | {row['size']} | {row['pair']} | {row['seconds']:.1f} | "
                f"{row['peak_bytes'] / 1e9:.2f} | {row['style']:.3f} | {row['content']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def bench(arguments: argparse.Namespace) -> None:
    """Run the cases asked for; each result replaces an older one of the same case."""
    file = RESULTS / f"{arguments.name}.json"
    known = json.loads(file.read_text())["rows"] if file.exists() else []
    rows = {(row["recipe"], row["size"], row["pair"]): row for row in known}
    cases = itertools.product(arguments.recipe or ["default"], arguments.size or SIZES, arguments.pair or PAIRS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.keep or temporary)
        for recipe, size, pair in cases:
            content, style = (SAMPLES / name for name in PAIRS[pair])
            out = folder / f"{pair}-{size}-{recipe}.png"
            row = measure(content, style, out, size, recipe, arguments.device)
            rows[recipe, size, pair] = {"recipe": recipe, "size": size, "pair": pair, **row}
            print(json.dumps(rows[recipe, size, pair]), flush=True)
            entry = {"machine": machine(arguments.device), "rows": [rows[case] for case in sorted(rows)]}
            file.write_text(json.dumps(entry, indent=1) + "\n")


def main() -> None:
    """Run what was asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help=f"long side in pixels; all of {SIZES} if left out")
    parser.add_argument("--pair", choices=PAIRS, action="append", help="all if left out")
    parser.add_argument("--recipe", action="append", help="default if left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--name", default="cpu", help="the results go to benchmarks/results/NAME.json")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the pictures there")
    parser.add_argument("--report", action="store_true", help="only write docs/benchmarks.md")
    arguments = parser.parse_args()
    if not arguments.report:
        bench(arguments)
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    (ROOT / "docs" / "benchmarks.md").write_text(report(results) + tables.section())


if __name__ == "__main__":
    sys.exit(main())
