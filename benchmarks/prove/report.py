"""Write the results: all of them as JSON, and a page in Markdown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.prove.part import Result
from benchmarks.records import Row

# This text is for docs/benchmarks.md. The results of a run are written to the folder that is given.
INTRODUCTION = """
## The first run on a GPU

`scripts/prove_gpu -o FOLDER` tests impasto on a machine with a GPU, within eight minutes. It writes `results.json` and
`results.md` after each of these parts:

- what `impasto doctor` reports;
- whether the CPU, float32 and bfloat16 agree on a picture;
- whether a picture is the same, bit for bit, when its graphs are captured, used again and captured anew;
- the time of a cold process, a first and a second picture;
- whether memory grows over twenty pictures with each preset;
- a photo of 8000 px;
- the number of kernels and launches in a step;
- the time with the settings of other programs;
- memory errors that compute-sanitizer finds.

Each part has its own process and time limit. `--devices cpu,cpu` uses the CPU in place of two GPUs; parts that need
CUDA are then skipped. The thresholds are in `benchmarks/prove/painting.py`, with the measurements that they come from.
"""


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md; it is empty if no job has results."""
    return INTRODUCTION if any(folder.glob("*.json")) else ""


def write(folder: Path, machine: dict[str, Any], devices: Sequence[str], results: Sequence[Result]) -> None:
    """Write the results so far."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {"machine": machine, "devices": list(devices), "parts": [json.loads(one.to_json()) for one in results]}
    (folder / "results.json").write_text(json.dumps(table, indent=1) + "\n")
    (folder / "results.md").write_text(page(machine, devices, results))


def page(machine: dict[str, Any], devices: Sequence[str], results: Sequence[Result]) -> str:
    """Return the results in Markdown."""
    overview = [(one.part, one.status, f"{one.seconds:.0f}", one.summary) for one in results]
    lines = [
        f"# GPU test on {', '.join(devices)}",
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
