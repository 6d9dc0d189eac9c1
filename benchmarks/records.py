"""Results as data: benchmarks/results/NAME.json holds, for one machine, a part for each job: where it ran, and rows."""

import argparse
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "examples" / "pictures"
RESULTS = ROOT / "benchmarks" / "results"

Row = dict[str, Any]
# The results of one job on one machine: {"machine": {...}, "rows": [...]}.
Part = dict[str, Any]


def machine(device: str) -> dict[str, Any]:
    """Describe this machine."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def described(where: dict[str, Any]) -> str:
    """Return the machine in words."""
    return f"{device(where)}, torch {where['torch']}"


def device(where: dict[str, Any]) -> str:
    """Return the machine's GPU, or its CPU and number of cores, in words."""
    return where["gpu"] or f"{where['cores']} cores of {where['cpu']}"


def keep(arguments: argparse.Namespace, job: str, row: Row, key: Sequence[str]) -> None:
    """Print a row and write it to the results, in place of an older one that has the same values in `key`."""
    print(json.dumps(row), flush=True)
    file = Path(arguments.results) / f"{arguments.name}.json"
    parts: dict[str, Part] = json.loads(file.read_text()) if file.exists() else {}
    known = parts.get(job, {"rows": []})["rows"]
    rows = [one for one in known if [one.get(name) for name in key] != [row.get(name) for name in key]]
    # Sorted by the key, so that a case that is measured again keeps its place.
    rows = sorted([*rows, row], key=lambda one: [(isinstance(one.get(name), str), one.get(name)) for name in key])
    parts[job] = {"machine": machine(arguments.device), "rows": rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(parts, indent=1) + "\n")


def parts(job: str, folder: Path = RESULTS) -> Iterator[Part]:
    """Yield the results of `job` on every machine."""
    for file in sorted(folder.glob("*.json")):
        found: dict[str, Part] = json.loads(file.read_text())
        if job in found:
            yield found[job]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all jobs have."""
    parser.add_argument("--device", default="cpu", help="cpu or cuda [cpu]")
    parser.add_argument("--name", help="the results go to benchmarks/results/NAME.json [the device's name]")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="another folder for them")


def parsed(parser: argparse.ArgumentParser, given: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, with the name of the results filled in."""
    arguments = parser.parse_args(given)
    arguments.name = arguments.name or arguments.device.replace(":", "")
    return arguments


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
