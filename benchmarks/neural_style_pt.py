"""neural-style-pt and impasto's recipe `neural-style` on one pair, in one run, compared by the peer's own objective.

python -m benchmarks.neural_style_pt                                  chelsea + watercolor at 256 px, 1000 iterations
python -m benchmarks.neural_style_pt --content A --style B --size 512 --iterations 1000 --steps 100,200,500 --repeat 3
scripts/bench neural-style-pt ...                                     the same, in the clone's environment
scripts/bench --report                                                write docs/benchmarks.md from all results
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import processes, records
from benchmarks.peers import neural_style_pt, tables
from benchmarks.peers.neural_style_pt import Peer

# impasto's numbers of steps as parts of the peer's iterations, unless --steps gives them.
PARTS = (0.1, 0.2, 0.3, 0.5, 1.0)
# The options for the first image, of the peer and of impasto; with none, each uses its default.
INITS = {"default": ((), ()), "content": (("-init", "image"), ("--init", "content"))}


def bring_to_size(source: Path, out: Path, size: int) -> tuple[int, int]:
    """Write a picture at the size that the peer would choose, so that both programs get the same pixels.

    The long side is `size`, the short one is rounded down; bilinear, as the peer resamples.

    Returns:
        Width and height.

    """
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    width, height = (max(1, side * size // max(picture.size)) for side in picture.size)
    # The array drops the colour profile, which the peer ignores.
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    Image.fromarray(pixels).save(out)
    return width, height


def paint_ours(
    content: Path, style: Path, out: Path, steps: int, given: argparse.Namespace, environment: dict[str, str]
) -> processes.Ended:
    """Run `impasto stylize`.

    Raises:
        SystemExit: it failed, or took another number of steps, because the recipe has several scales.

    """
    ended = processes.run(
        [
            sys.executable, "-m", "impasto", "stylize", str(content), str(style), "-o", str(out), "--force", "--json",
            "--recipe", given.recipe, "--size", str(given.size), "--steps", str(steps), "--device", given.device,
            *INITS[given.init][1],
        ],
        environment,
    )  # fmt: skip
    taken = json.loads(ended.output.splitlines()[-1])["steps"]
    if taken != steps:
        raise SystemExit(
            f"the recipe {given.recipe!r} took {taken} steps instead of {steps}; choose one of a single scale"
        )
    return ended


def row(program: str, steps: int, ended: processes.Ended, loss: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return one run as data."""
    return {
        "program": program,
        "steps": steps,
        "seconds": round(ended.seconds, 2),
        "peak_bytes": ended.peak_bytes,
        "loss": loss,
        "free": None,
        **more,
    }


def compare(peer: Peer, out: Path, given: argparse.Namespace, environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Run both programs in turn, evaluate the saved pictures, and yield a row for each."""
    every = given.iterations // 10 if given.iterations % 10 == 0 else given.iterations
    for turn in range(given.repeat):
        picture = out / f"peer-{turn}.png"
        ended = peer.paint(picture, given.iterations, "-print_iter", str(every), *INITS[given.init][0])
        printed = neural_style_pt.parse(ended.output)
        loss = peer.judge(picture)
        course = {iteration: loss["total"] for iteration, loss in printed.items()}
        yield row(tables.PEER, given.iterations, ended, loss, free=printed[given.iterations], course=course)
        for steps in given.steps:
            picture = out / f"impasto-{steps}-{turn}.png"
            ended = paint_ours(peer.content, peer.style, picture, steps, given, environment)
            yield row(f"impasto {given.recipe}", steps, ended, peer.judge(picture))


def case(given: argparse.Namespace) -> dict[str, Any]:
    """Measure one pair at one size; every row is written as soon as it is measured."""
    threads = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = dict(os.environ) | threads
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        content, style = folder / "content.png", folder / "style.png"
        pixels = bring_to_size(given.content, content, given.size)
        bring_to_size(given.style, style, given.size)
        out = given.keep.resolve() if given.keep else folder
        out.mkdir(parents=True, exist_ok=True)
        neural_style_pt.write_weights(folder / neural_style_pt.MODEL)
        with_peer = neural_style_pt.environment_with(neural_style_pt.install(given.peer), environment)
        peer = Peer(content, style, given.size, folder, with_peer, given.device)
        new: dict[str, Any] = {
            "content": given.content.stem,
            "style": given.style.stem,
            "pixels": pixels,
            "init": given.init,
            "iterations": given.iterations,
            "threads": given.threads,
            "machine": records.machine(given.device) | {"system": platform.system()},
            "versions": {"neural-style": neural_style_pt.VERSION, "recipe": given.recipe},
            "rows": [],
        }
        for one in compare(peer, out, given, environment):
            print(json.dumps(one), flush=True)
            new["rows"].append(one)
            keep(new, given.results)
    return new


def keep(new: dict[str, Any], file: Path) -> None:
    """Write a case to the results, in place of an older one of the same pair, size and machine."""

    def name(case: dict[str, Any]) -> list[Any]:
        what = [case[key] for key in ("content", "style", "init", "iterations", "threads")]
        return [*what, *case["pixels"], case["machine"]["cpu"], case["machine"]["gpu"]]

    known = json.loads(file.read_text())["cases"] if file.exists() else []
    cases = [case for case in known if name(case) != name(new)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"cases": [*cases, new]}, indent=1) + "\n")


def chosen_steps(given: argparse.Namespace) -> list[int]:
    """Return impasto's numbers of steps."""
    parts = given.steps.split(",") if given.steps else [max(1, round(part * given.iterations)) for part in PARTS]
    return sorted({int(part) for part in parts})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the requested case and write its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, default=records.SAMPLES / "chelsea.jpg")
    parser.add_argument("--style", type=Path, default=records.SAMPLES / "watercolor.jpg")
    parser.add_argument("--size", type=int, default=256, help="long side in pixels [256]")
    parser.add_argument("--iterations", type=int, default=1000, help="the peer's [1000, its default]")
    parser.add_argument("--steps", metavar="N,N,...", help=f"impasto's [{PARTS} of the iterations]")
    parser.add_argument("--recipe", default="neural-style", help="impasto's [neural-style]")
    parser.add_argument("--init", choices=INITS, default="default", help="what both start from [each one's default]")
    parser.add_argument("--repeat", type=int, default=1, help="turns [1]")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each program [all cores]")
    parser.add_argument("--device", default="cpu", help="cpu or cuda [cpu]")
    parser.add_argument(
        "--peer", type=Path, default=neural_style_pt.INSTALLED, metavar="FOLDER", help="where the peer is installed"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the pictures there")
    parser.add_argument("--results", type=Path, default=tables.RESULTS / "neural_style_pt.json", metavar="FILE")
    given = parser.parse_args(arguments)
    given.steps = chosen_steps(given)
    print(tables.reached(case(given)))


if __name__ == "__main__":
    main()
