"""A small painting on a device, compared with the same one on the CPU: what shows that the device works."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from impasto.engine import devices, graphs
from impasto.engine.descent import CAPTURED_STEPS
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.picture import Picture
from impasto.recipe import Inputs, Precision, Style, presets
from impasto.reports.events import Stepped
from impasto.system.text import printable

_CPU: Final = torch.device("cpu")
# Ours: large enough for all of the default recipe's layers, and a second on two cores.
_SIZE: Final = 64
_STEPS: Final = 12
# Ours, measured on a CPU with four pairs of pictures: each step magnifies differences of rounding. Two ways to convolve
# in float32 differ by up to 0.4 % in four steps and by 13 % in eight; bfloat16 differs from them by 5.6 % in four.
COMPARED: Final = 4
TOLERANCES: Final[dict[torch.dtype, float]] = {torch.float32: 0.01, torch.bfloat16: 0.1}


@dataclass(frozen=True)
class Trial:
    """A small painting.

    Attributes:
        device: it was painted on.
        dtype: of the features.
        losses: of its steps; fewer than there are steps where it failed.
        seconds: it took, with loading the network.
        captured: whether steps were captured in a CUDA graph; None on devices without them.
        error: what it failed with; empty if it did not.

    """

    device: torch.device
    dtype: torch.dtype
    losses: tuple[float, ...]
    seconds: float
    captured: bool | None = None
    error: str = ""

    @property
    def title(self) -> str:
        """The device and the dtype, in words."""
        return f"{self.device} in {str(self.dtype).removeprefix('torch.')}"

    def difference(self, reference: "Trial") -> float:
        """Return the largest relative difference between the first losses of two paintings."""
        return compare_losses(self.losses, reference.losses)

    def problem(self, reference: "Trial") -> str | None:
        """Return what is wrong with this painting, and what to do; None if nothing is.

        Args:
            reference: the painting in float32 on the CPU.

        """
        remedy = "take --device cpu" if self.device.type != "cpu" else "install PyTorch again"
        if self.error:
            return f"painting fails ({self.error}); {remedy}, and report this"
        if reference.error:
            return None
        difference = self.difference(reference)
        if not difference <= TOLERANCES[self.dtype]:
            return f"its losses are not the CPU's (they differ by {difference:.1%}); {remedy}, and report this"
        if self.losses[-1] >= self.losses[0]:
            return f"its loss does not fall; {remedy}, and report this"
        if self.captured is False:
            return "no step could be captured in a CUDA graph; pictures take longer than they need to, report this"
        return None


def compare_losses(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Return the largest relative difference between the first losses of two runs; NaN if one of them is NaN."""
    ours, theirs = (np.array(each[:COMPARED]) for each in (losses, reference))
    return float(np.max(np.abs(ours - theirs) / theirs))


def examine(tried: Iterable[torch.device]) -> Iterator[tuple[Trial, str | None]]:
    """Paint on the CPU and on each device; yield each painting, and what is wrong with it.

    A device is tried in float32, and in the precision that `auto` chooses there.
    """
    reference = paint(_CPU, "float32")
    yield reference, reference.problem(reference)
    for device in tried:
        for precision in _precisions(device):
            trial = paint(device, precision)
            yield trial, trial.problem(reference)


def _precisions(device: torch.device) -> tuple[Precision, ...]:
    return ("float32",) if devices.dtype("auto", device) == torch.float32 else ("float32", "auto")


def paint(device: torch.device, precision: Precision, steps: int = _STEPS) -> Trial:
    """Paint a small picture of our own drawing, and return how that went; it fails with no error."""
    recipe = presets.DEFAULT.replace(size=_SIZE, start_size="final", steps=(steps,))
    scene = Scene(Inputs(draw(_SIZE, _SIZE, seed=1), (Style(draw(_SIZE, _SIZE, seed=2)),)), recipe, device)
    # Graphs of other pictures were not watched while they were captured.
    CAPTURED_STEPS.clear()
    losses: list[float] = []
    error = ""
    started = time.perf_counter()
    with graphs.watch() as captures:
        try:
            for event in Run(scene, precision=precision):
                if isinstance(event, Stepped):
                    losses.append(event.loss)
        except Exception as raised:
            # What a device cannot do, such as float64, raises errors of all kinds. All lines of PyTorch's but the first
            # are about debugging its kernels.
            error = f"{type(raised).__name__}: {printable(str(raised).partition(chr(10))[0])}"
    CAPTURED_STEPS.clear()
    captured = captures.succeeded > 0 if devices.uses_graphs(device) else None
    dtype = devices.dtype(precision, device)
    return Trial(device, dtype, tuple(losses), time.perf_counter() - started, captured, error)


def draw(height: int, width: int, seed: int) -> Picture:
    """Return a picture of coloured waves of several lengths, the same for a seed everywhere."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pixels = np.full((3, height, width), 0.5)
    for strength in (0.25, 0.15, 0.1):
        frequencies = generator.uniform(3, 40, (2, 3))
        phases = generator.uniform(0, 2 * np.pi, 3)
        waves = np.sin(frequencies[0][:, None, None] * x + frequencies[1][:, None, None] * y + phases[:, None, None])
        pixels += strength * waves
    return Picture(np.clip(pixels, 0, 1).astype(np.float32))
