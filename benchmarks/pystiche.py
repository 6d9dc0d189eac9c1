"""pystiche and impasto on one pair with one objective, in one run, compared by pystiche's own code.

scripts/bench pystiche                                  chelsea + watercolor at 256 px, 500 steps of pystiche
scripts/bench pystiche --size 512 --steps 50,100,200 --repeat 3
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import neural_style_pt, records
from benchmarks.neural_style_pt import row
from benchmarks.peers import pystiche, tables

PEER = "pystiche"


def compare(peer: pystiche.Peer, out: Path, given: argparse.Namespace, env: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Run both in turn, evaluate the saved pictures, and yield a row for each."""
    for turn in range(given.repeat):
        picture = out / f"pystiche-{turn}.png"
        ended = peer.paint(picture, given.iterations)
        yield row(PEER, given.iterations, ended, peer.judge(picture), free=pystiche.parse(ended.output))
        for steps in given.steps:
            given.recipe = str(out / "pystiche.toml")
            Path(given.recipe).write_text(pystiche.recipe(steps).to_toml())
            picture = out / f"impasto-{steps}-{turn}.png"
            ended = neural_style_pt.paint_ours(peer.content, peer.style, picture, steps, given, env)
            yield row("impasto, the same objective", steps, ended, peer.judge(picture))


def case(given: argparse.Namespace) -> dict[str, Any]:
    """Measure one pair at one size; every row is written as soon as it is measured."""
    environment = dict(os.environ) | {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        content, style = folder / "content.png", folder / "style.png"
        pixels = neural_style_pt.bring_to_size(given.content, content, given.size)
        neural_style_pt.bring_to_size(given.style, style, given.size)
        out = given.keep.resolve() if given.keep else folder
        out.mkdir(parents=True, exist_ok=True)
        weights, with_peer = pystiche.prepare(folder, environment)
        peer = pystiche.Peer(content, style, weights, with_peer, given.device)
        new: dict[str, Any] = {
            "peer": PEER,
            "content": given.content.stem,
            "style": given.style.stem,
            "pixels": pixels,
            "init": given.init,
            "iterations": given.iterations,
            "threads": given.threads,
            "machine": records.machine(given.device) | {"system": platform.system()},
            "versions": {PEER: pystiche.VERSION},
            "rows": [],
        }
        for one in compare(peer, out, given, environment):
            print(json.dumps(one), flush=True)
            new["rows"].append(one)
            neural_style_pt.keep(new, given.results / "peers" / "pystiche.json")
    return new


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the requested case and write its results."""
    parser = argparse.ArgumentParser(
        "scripts/bench pystiche", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--content", type=Path, default=records.SAMPLES / "chelsea.jpg")
    parser.add_argument("--style", type=Path, default=records.SAMPLES / "watercolor.jpg")
    parser.add_argument("--size", type=int, default=256, help="long side in pixels [256]")
    parser.add_argument("--iterations", type=int, default=pystiche.STEPS, help=f"pystiche's [{pystiche.STEPS}]")
    parser.add_argument("--steps", metavar="N,N,...", help="impasto's [parts of the iterations]")
    parser.add_argument("--repeat", type=int, default=1, help="turns [1]")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each program [all cores]")
    parser.add_argument("--device", default="cpu", help="cpu or cuda [cpu]")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the pictures there")
    parser.add_argument("--results", type=Path, default=records.RESULTS, metavar="FOLDER")
    # Both start from the photo, as pystiche's tutorial does.
    parser.set_defaults(init="content")
    given = parser.parse_args(arguments)
    given.steps = neural_style_pt.chosen_steps(given)
    print(tables.reached(case(given)))
