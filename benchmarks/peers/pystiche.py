"""pystiche as it is released, in a folder of its own: run by its tutorial's program, and used to evaluate pictures."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import neural_style_pt
from benchmarks.processes import Ended, run
from benchmarks.records import ROOT
from impasto.recipe import Recipe, presets
from impasto.recipe.terms import Content, Gram

VERSION = "1.0.1"
REQUIREMENTS = Path(__file__).with_suffix(".txt")
INSTALLED = ROOT / "build" / "peers" / f"pystiche-{VERSION}"
# The embedded network's features are some 57 times torchvision's: see presets/crowsonkb.toml.
DIVISOR = 57.0
# pystiche's tutorial: num_steps 500.
STEPS = 500


def recipe(steps: int) -> Recipe:
    """Return impasto's recipe with the objective of `pystiche_program`, in one scale from the photo."""
    # Our features are 57 times as large. Content grows with their square, the distance of Gram matrices with the fourth
    # power.
    terms = Content(form="mean") + Gram(form="mean")
    return presets.get("neural-style").replace(
        name="pystiche",
        terms=terms,
        content_weight=1e0 / DIVISOR**2,
        style_weight=1e3 / DIVISOR**4,
        init="content",
        steps=(steps,),
    )


@dataclass(frozen=True)
class Peer:
    """The peer, installed, with one pair of pictures at the size to be painted."""

    content: Path
    style: Path
    weights: Path
    environment: dict[str, str]
    device: str = "cpu"

    def paint(self, out: Path, steps: int) -> Ended:
        """Run it; it prints the objective of the picture before it is saved."""
        return self._run("paint", out, str(steps), self.device)

    def judge(self, picture: Path) -> dict[str, Any]:
        """Return the peer's own objective of a saved picture, term by term."""
        return parse(self._run("judge", picture).output)

    def _run(self, task: str, picture: Path, *more: str) -> Ended:
        command = [sys.executable, "-m", "benchmarks.peers.pystiche_program", task]
        pictures = [str(path) for path in (self.weights, self.content, self.style, picture)]
        return run([*command, *pictures, *more], self.environment, ROOT)


def parse(output: str) -> dict[str, Any]:
    """Return the objective that was printed last."""
    loss: dict[str, Any] = json.loads(output.splitlines()[-1])
    return loss


def prepare(folder: Path, environment: dict[str, str], installed: Path = INSTALLED) -> tuple[Path, dict[str, str]]:
    """Install the peer, write its weights into `folder`, and return them with the environment in which it runs."""
    neural_style_pt.install(installed, REQUIREMENTS)
    weights = folder / "vgg16.pth"
    neural_style_pt.write_weights(weights, divisor=DIVISOR)
    # Our substitute comes before an installed torchvision: pystiche needs names that torchvision 0.13 removed.
    paths = [str(neural_style_pt.STAND_IN), str(installed.resolve()), environment.get("PYTHONPATH", "")]
    # pystiche makes a folder for downloads when it is imported.
    home = {"PYSTICHE_HOME": str(folder / "home")}
    return weights, environment | home | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
