"""The part of docs/benchmarks.md about other programs."""

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "results" / "peers"
PEER = "neural-style-pt"
# By the value of `peer` in a case; cases without it are neural-style-pt's.
INTRODUCTIONS = {
    PEER: """\
## Compared with neural-style-pt

Made by `scripts/bench neural-style-pt`. Both programs run in turn, each in its own process, with the same number of
threads, the same VGG-16 and the same two pictures, which have been resized before. The loss is neural-style-pt's
objective of the saved 8-bit picture, computed by its own code. neural-style-pt optimises the pixels without bounds, and
clips and truncates them when it saves the picture; "free" is its loss before that. Times and losses are medians if
there were several runs.
""",
    "pystiche": """\
## Compared with pystiche

Made by `scripts/bench pystiche`, in the same way. pystiche 1.0.1 is a library; the program that uses it is that of its
tutorial: a PerceptualLoss of FeatureReconstructionLoss at relu4_2 and 1000 GramLoss at relu1_1 to relu5_1, minimised
from the photo by image_optimization with its own L-BFGS in 500 steps. The features of VGG-16 are divided by 57, so that
they have the scale of torchvision's weights, for which these numbers are meant. The weights are frozen, so that no time
is spent on their gradients. impasto minimises the same objective. The loss is pystiche's objective of the saved 8-bit
picture, computed by its own code.
""",
}


def section(folder: Path = RESULTS) -> str:
    """Return the section as Markdown, or nothing where there are no results."""
    groups = defaultdict(list)
    for file in sorted(folder.glob("*.json")):
        for case in json.loads(file.read_text())["cases"]:
            groups[peer_of(case)].append(case)
    return "".join(
        "\n".join(["", INTRODUCTIONS[peer], *(_case(case) for case in cases)]) for peer, cases in groups.items()
    )


def peer_of(case: dict[str, Any]) -> str:
    """Return the name of the peer in a case."""
    return str(case.get("peer", PEER))


def _case(case: dict[str, Any]) -> str:
    where = case["machine"]
    device = where["gpu"] or f"{case['threads']} threads of {where['cpu']}"
    width, height = case["pixels"]
    columns = ("program", "steps", "seconds", "peak GB", "loss", "content", "style", "smoothness", "free")
    start = "each one's own start" if case["init"] == "default" else f"from the {case['init']}"
    lines = [
        f"### {case['content']} + {case['style']}, {width} x {height}, {start}",
        "",
        f"{device}, torch {where['torch']}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    groups = defaultdict(list)
    for row in case["rows"]:
        groups[row["program"], row["steps"]].append(row)
    lines += [
        _line(program, steps, rows)
        for (program, steps), rows in sorted(groups.items(), key=lambda item: (item[0][0] != peer_of(case), item[0]))
    ]
    return "\n".join([*lines, "", reached(case), ""])


def _line(program: str, steps: int, rows: list[dict[str, Any]]) -> str:
    losses = [row["loss"] for row in rows]
    terms = (
        _middle(loss["content"] for loss in losses),
        _middle(sum(loss["style"]) for loss in losses),
        _middle(loss["smoothness"] for loss in losses),
    )
    free = [row["free"]["total"] for row in rows if row["free"]]
    cells = [
        program,
        str(steps),
        f"{_middle(row['seconds'] for row in rows):.1f}",
        f"{max(row['peak_bytes'] for row in rows) / 1e9:.2f}",
        f"{_middle(loss['total'] for loss in losses):.4g}",
        *(f"{term:.4g}" for term in terms),
        f"{_middle(free):.4g}" if free else "",
    ]
    return f"| {' | '.join(cells)} |"


def reached(case: dict[str, Any]) -> str:
    """Return in how many steps and seconds impasto's picture was as good as the peer's, as one sentence."""
    rows = case["rows"]
    peers = [row for row in rows if row["program"] == peer_of(case)]
    target, seconds = _middle(row["loss"]["total"] for row in peers), _middle(row["seconds"] for row in peers)
    ours = defaultdict(list)
    for row in rows:
        if row["program"] != peer_of(case):
            ours[row["steps"]].append(row)
    for steps, runs in sorted(ours.items()):
        taken = _middle(row["seconds"] for row in runs)
        if _middle(row["loss"]["total"] for row in runs) <= target:
            return (
                f"impasto's picture is as good as the peer's after {steps} steps (the fewest tried that are enough): "
                f"{taken:.1f} s instead of {seconds:.1f} s, {seconds / taken:.1f} times as fast."
            )
    return "impasto's picture is not as good as the peer's after any number of steps tried."


def _middle(values: Any) -> float:
    return float(statistics.median(values))
