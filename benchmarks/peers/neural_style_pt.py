"""neural-style-pt as it is released, in a folder of its own: run by its command line, and used to evaluate pictures.

Its objective is 5 mean (F - P)^2 at relu4_2 + 100 sum_l mean (G_l - A_l)^2 + 0.001 sum |neighbour - neighbour|, with
F of BGR in 0..256 minus Caffe's mean, G = F F^T / (N M), l = relu1_1 .. relu5_1, poolings rounded down. It is not
implemented here again: a run of one iteration that starts from a picture prints the objective of that picture.
"""

import importlib.util
import math
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.processes import Ended, run
from impasto.vgg import weights

VERSION = "0.5.7"
HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "neural_style_pt.txt"
STAND_IN = HERE / "stand_in"
INSTALLED = HERE.parent.parent / "build" / "peers" / f"neural-style-{VERSION}"
# The peer reads the network's kind from the path ("19" anywhere in it is VGG-19), so it gets a name without a folder.
MODEL = "vgg16.pth"


def install(folder: Path = INSTALLED, requirements: Path = REQUIREMENTS) -> Path:
    """Install `requirements`, without their dependencies, into a folder of its own, unless it has been done."""
    if not any(folder.glob("*.dist-info")):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--require-hashes", "--target", str(folder), "-r", str(requirements)], check=True)
    return folder


def write_weights(file: Path, network: str = "vgg16", divisor: float = 1.0) -> None:
    """Write our embedded network as the state dictionary that peers load, for BGR in 0..255, in float32.

    Its features are the published ones divided by `divisor`.
    """
    spec = weights.EMBEDDED[network]
    tensors = weights.load(spec)
    state, index, block = {}, 0, 1
    for convolution in spec.convolutions:
        if convolution.block != block:
            block, index = convolution.block, index + 1  # a pooling
        for part in ("weight", "bias"):
            # Dividing the first weight divides all features after it; every bias has to be divided itself.
            own = divisor if part == "bias" or index == 0 else 1.0
            state[f"features.{index}.{part}"] = tensors[f"{convolution.name}.{part}"] / own
        index += 2  # the convolution and its ReLU
    torch.save(state, file)


def parse(output: str) -> dict[int, dict[str, Any]]:
    """Return the objective by iteration, as printed: `total`, `content`, `style` by layer, `smoothness`.

    The peer does not print its smoothness term. It is the total minus the other terms. As the total is a float32, the
    term is exact to 0.1 if the total is 1e6.

    Raises:
        SystemExit: nothing was printed, or a number that is not finite.

    """
    found = {}
    for part in re.split(r"^Iteration ", output, flags=re.MULTILINE)[1:]:
        content, style = (
            [float(value) for value in re.findall(rf"^ *{kind} \d+ loss: (\S+)", part, flags=re.MULTILINE)]
            for kind in ("Content", "Style")
        )
        total = float(re.findall(r"^ *Total loss: (\S+)", part, flags=re.MULTILINE)[0])
        if not math.isfinite(total):
            raise SystemExit(f"the peer's objective is {total}")
        smoothness = total - sum(content) - sum(style)
        found[int(part.split()[0])] = {
            "total": total,
            "content": sum(content),
            "style": style,
            "smoothness": smoothness,
        }
    if not found:
        raise SystemExit(f"the peer printed no objective: {output[-1000:]}")
    return found


@dataclass(frozen=True)
class Peer:
    """The peer, installed, with one pair at one size."""

    content: Path
    style: Path
    size: int
    folder: Path  # with the weights
    environment: dict[str, str]
    device: str = "cpu"

    def paint(self, out: Path, iterations: int, *options: str) -> Ended:
        """Run it with its defaults: L-BFGS, 5 content, 100 style, 0.001 smoothness, from faint noise."""
        # Its README: 40 s with cuDNN, 56 s without, its default, on a GTX 1080.
        place = ["-gpu", "c"] if self.device == "cpu" else ["-gpu", "0", "-backend", "cudnn"]
        command = [
            sys.executable, "-m", "neural_style.neural_style", *place,
            "-content_image", str(self.content), "-style_image", str(self.style), "-output_image", str(out),
            "-image_size", str(self.size), "-num_iterations", str(iterations), "-save_iter", "0", "-seed", "0",
            # The file has no classifier, which no loss uses.
            "-model_file", MODEL, "-disable_check", *options,
        ]  # fmt: skip
        return run(command, self.environment, self.folder)

    def judge(self, picture: Path) -> dict[str, Any]:
        """Return the peer's own objective of a saved picture.

        Raises:
            SystemExit: the picture has another size than the content picture, to which the peer would resize it.

        """
        sizes = []
        for path in (self.content, picture):
            with Image.open(path) as opened:
                sizes.append(opened.size)
        if sizes[0] != sizes[1]:
            raise SystemExit(f"{picture}: is {sizes[1]}, but the content picture is {sizes[0]}: nothing to compare")
        with tempfile.TemporaryDirectory() as unused:
            start = ("-init", "image", "-init_image", str(picture), "-print_iter", "1")
            ended = self.paint(Path(unused) / "again.png", 1, *start)
        return parse(ended.output)[1]


def environment_with(installed: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return `environment` with the peer, and our substitute if torchvision is missing, first in Python's path."""
    paths = [str(installed.resolve())]
    if importlib.util.find_spec("torchvision") is None:
        paths.append(str(STAND_IN))
    if environment.get("PYTHONPATH"):
        paths.append(environment["PYTHONPATH"])
    return environment | {"PYTHONPATH": os.pathsep.join(paths)}
