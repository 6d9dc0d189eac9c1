"""The results as files: all of them as JSON, and a page in Markdown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.prove.part import Result
from benchmarks.records import Row

# Of docs/benchmarks.md; the results are of the machine that they were made on, and stay in the folder given.
INTRODUCTION = """
## The first run on a GPU

`scripts/prove_gpu -o FOLDER` shows on a machine with a GPU, within eight minutes, that impasto works there, and writes
`results.json` and `results.md` after each part: what `impasto doctor` says; whether the CPU, float32 and bfloat16 agree
on a picture; whether the same picture comes out to the bit when graphs are kept, dropped and captured again; seconds of
a cold process and of a first and a second picture; whether memory grows over twenty pictures of each preset; a photo of
8000 px; kernels and launches of a step; seconds with other programs' settings; and memory errors under
compute-sanitizer. Each part has a process and a time limit of its own. `--devices cpu,cpu` lets the CPU stand in for
two devices, and parts that need CUDA say that they were skipped. The thresholds are in `benchmarks/prove/painting.py`,
beside the measurements that they come from.
"""


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md: how to make the proof, once there are results of any job."""
    return INTRODUCTION if any(folder.glob("*.json")) else ""


def write(folder: Path, machine: dict[str, Any], devices: Sequence[str], results: Sequence[Result]) -> None:
    """Write what is known so far."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {"machine": machine, "devices": list(devices), "parts": [json.loads(one.to_json()) for one in results]}
    (folder / "results.json").write_text(json.dumps(table, indent=1) + "\n")
    (folder / "results.md").write_text(page(machine, devices, results))


def page(machine: dict[str, Any], devices: Sequence[str], results: Sequence[Result]) -> str:
    """Return the results in Markdown."""
    overview = [(one.part, one.status, f"{one.seconds:.0f}", one.summary) for one in results]
    lines = [
        f"# Proof on {', '.join(devices)}",
        "",
        f"{records.described(machine)}, Python {machine['python']}.",
        "",
        *records.table(("part", "result", "seconds", "in short"), [tuple(map(_cell, row)) for row in overview]),
    ]
    for one in results:
        if one.findings or one.rows:
            lines += ["", f"## {one.part}"]
        if one.findings:
            lines += ["", *(f"- FINDING: {finding}" for finding in one.findings)]
        if one.rows:
            lines += ["", *_table(one.rows)]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    # A measurement that one row lacks has an empty cell there.
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return records.table(columns, [tuple(_cell(row.get(name)) for name in columns) for row in rows])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
