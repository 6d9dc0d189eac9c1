"""The parts that paint in this process: agreement of devices, reuse of graphs, growth of memory, large photos."""

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import torch
from PIL import Image

from benchmarks.prove.part import Found, Given
from benchmarks.records import SAMPLES, Row
from impasto.engine import devices, graphs, trial
from impasto.jobs.job import Job
from impasto.picture import PictureSource
from impasto.recipe import Compute, Inputs, Precision, Recipe, presets
from impasto.reports.events import Finished, Stepped

PHOTO, PAINTING = SAMPLES / "astronaut.jpg", SAMPLES / "autumn_knife.jpg"
# Ours, measured on a CPU between two ways to convolve, and between float32 and bfloat16: the mean difference of pixels
# after `trial.COMPARED` steps is up to 0.4 and 3.4 levels of 255, the difference of the whole recipe's losses 1.8 and
# 3.0 %.
MOST_LEVELS: dict[Precision, float] = {"float32": 1.5, "bfloat16": 8.0}
MOST_LOSS: dict[Precision, float] = {"float32": 0.06, "bfloat16": 0.08}
# Ours: how much the memory may grow from the fifth to the last of 20 pictures. The allocator rounds to 2 MB.
MOST_GROWTH = 8e6
# On the CPU the allocator cannot return all memory to the system.
MOST_GROWTH_ON_CPU = 200e6
SETTLED = 5


class Painted(NamedTuple):
    """The finished pixels, those at the last step, the loss of each step, and the final loss."""

    pixels: np.ndarray
    last_step: np.ndarray
    losses: tuple[float, ...]
    loss: float


def paint(
    recipe: Recipe,
    device: str,
    precision: Precision = "auto",
    photo: PictureSource = PHOTO,
    style: PictureSource = PAINTING,
) -> Painted:
    """Paint a picture to its end."""
    run = Job(Inputs.of(photo, [style]), recipe, Compute(device, None, precision)).start()
    total = sum(scale.steps for scale in run.scales)
    losses: list[float] = []
    final = math.nan
    last_step = np.empty(0, np.float32)
    for event in run:
        if isinstance(event, Stepped):
            losses.append(event.loss)
            if len(losses) == total:
                last_step = run.picture().pixels
        elif isinstance(event, Finished):
            final = event.loss
    return Painted(run.picture().pixels, last_step, tuple(losses), final)


def single(recipe: Recipe, size: int, steps: int) -> Recipe:
    """Return a recipe of one scale."""
    return recipe.replace(size=size, start_size="final", steps=(steps,))


def agree(given: Given) -> Found:
    """Compare devices with the CPU in both precisions: a few steps with low tolerances, the whole recipe with high."""
    size = 64 if given.quick else 128
    few, whole = single(presets.DEFAULT, size, trial.COMPARED), presets.DEFAULT.replace(size=size)
    if given.quick:
        whole = single(presets.DEFAULT, size, 12)
    reference, reference_whole = paint(few, "cpu", "float32"), paint(whole, "cpu", "float32")
    found = Found()
    tried = [(name, precision) for name in given.devices for precision in _precisions(name)]
    for device, precision in tried:
        here, here_whole = paint(few, device, precision), paint(whole, device, precision)
        loss = trial.compare_losses(here.losses, reference.losses)
        # The finished picture has one more step, which would magnify rounding errors once more.
        levels = float(255 * np.abs(here.last_step - reference.last_step).mean())
        final = abs(here_whole.loss / reference_whole.loss - 1)
        found.rows.append(
            {
                "device": device,
                "precision": precision,
                "first losses differ, %": round(100 * loss, 4),
                "pixels differ, levels": round(levels, 3),
                "final loss": here_whole.loss,
                "final losses differ, %": round(100 * final, 3),
            }
        )
        for what, value, most in (
            ("first losses", loss, trial.TOLERANCES[getattr(torch, precision)]),
            ("levels of pixels", levels, MOST_LEVELS[precision]),
            ("final losses", final, MOST_LOSS[precision]),
        ):
            # Written so that NaN is a finding.
            if not value <= most:
                found.findings.append(f"{device} in {precision}: {what} differ by {value:.4g}, more than {most}")
    worst = max(row["final losses differ, %"] for row in found.rows)
    found.summary = f"{len(found.rows)} against the CPU in float32; final losses differ by up to {worst} %"
    return found


def _precisions(device: str) -> tuple[Precision, ...]:
    """Return the precisions that a device has; the CPU has both."""
    has_bfloat16 = device == "cpu" or devices.dtype("auto", torch.device(device)) == torch.bfloat16
    return ("float32", "bfloat16") if has_bfloat16 else ("float32",)


def keep_graphs(given: Given) -> Found:
    """Paint one shape twice, two others, and the first again: its pictures must be equal, and its graphs used again."""
    size, start = (48, 16) if given.quick else (512, 128)
    recipe = presets.DEFAULT.replace(size=size, start_size=start, steps=(8, 6, 4) if given.quick else (35, 16, 10))
    shapes = {"wide": (size * 3 // 4, size), "square": (size, size), "tall": (size, size * 3 // 4)}
    found = Found()
    first: dict[str, np.ndarray] = {}
    for turn, name in enumerate(("wide", "wide", "square", "tall", "wide")):
        with graphs.watch() as captures:
            painted = paint(recipe, given.device, photo=trial.draw(*shapes[name], seed=3))
        difference = float(np.abs(painted.pixels - first.setdefault(name, painted.pixels)).max())
        found.rows.append(
            {
                "picture": turn + 1,
                "shape": name,
                "captured": captures.succeeded,
                "not captured": captures.failed,
                "loss": painted.loss,
                "differs from its first by": difference,
            }
        )
        if difference != 0:
            found.findings.append(f"picture {turn + 1} differs from the first of its shape by {difference:.3g}")
        if captures.failed:
            found.findings.append(f"picture {turn + 1}: {captures.failed} steps could not be captured")
    if given.has_cuda and found.rows[0]["captured"] == 0:
        found.findings.append("the first picture captured no graph")
    if given.has_cuda and found.rows[1]["captured"] > 0:
        found.findings.append("the second picture of a shape captured graphs anew; they were not kept")
    kept = "graphs used again" if given.has_cuda else "no graphs, as there is no CUDA"
    found.summary = f"{len(found.rows)} pictures of 3 shapes at 3 scales; {kept}"
    return found


def watch_memory(given: Given) -> Found:
    """Paint pictures of one size with each preset, and measure the memory after each."""
    names = ("default", "crowsonkb") if given.quick else presets.NAMES
    count, size, steps = (SETTLED + 2, 32, 4) if given.quick else (20, 96, 12)
    most = MOST_GROWTH if given.has_cuda else MOST_GROWTH_ON_CPU
    found = Found()
    for name in names:
        used: list[dict[str, int]] = []
        try:
            recipe = single(presets.get(name), size, steps)
            for seed in range(count):
                # The style stays the same, as in a batch, so its statistics are kept only once.
                paint(recipe, given.device, photo=trial.draw(size, size, seed=seed), style=PAINTING)
                used.append(_memory(given))
        except Exception as error:
            found.findings.append(f"{name}: fails at picture {len(used) + 1}: {str(error).partition(chr(10))[0]}")
            continue
        row: Row = {"preset": name}
        for kind in used[0]:
            settled, last = used[SETTLED - 1][kind], used[-1][kind]
            row |= {f"{kind} after {SETTLED}, MB": round(settled / 1e6), f"{kind} after {count}, MB": round(last / 1e6)}
            if last - settled > most:
                found.findings.append(f"{name}: {kind} memory grew by {(last - settled) / 1e6:.0f} MB")
        row["by picture, MB"] = " ".join(f"{next(iter(one.values())) / 1e6:.0f}" for one in used)
        found.rows.append(row)
    found.summary = (
        f"{count} pictures with each of {len(names)} presets at {size} px; a growth over {most / 1e6:.0f} MB counts"
    )
    return found


def _memory(given: Given) -> dict[str, int]:
    if given.has_cuda:
        return {
            "allocated": torch.cuda.memory_allocated(given.device),
            "reserved": torch.cuda.memory_reserved(given.device),
        }
    return {"resident": psutil.Process().memory_info().rss}


def paint_large(given: Given) -> Found:
    """Paint a photo of 8000 px at a small size: the coarsest scale shrinks it by more than one kernel can."""
    width, size = (1000, 48) if given.quick else (8000, 256)
    recipe = single(presets.DEFAULT, size, 12)
    with tempfile.TemporaryDirectory() as temporary:
        photo = Path(temporary) / "photo.jpg"
        with Image.open(PHOTO) as opened:
            opened.convert("RGB").resize((width, width * 3 // 4)).save(photo)
        here = paint(recipe, given.device, photo=photo, style=photo)
        reference = paint(recipe, "cpu", "float32", photo, photo)
    difference = trial.compare_losses(here.losses, reference.losses)
    row: Row = {"photo, px": width, "size, px": size, "loss": here.loss, "first losses differ, %": 100 * difference}
    if given.has_cuda:
        row["peak on the device, GB"] = torch.cuda.max_memory_reserved(given.device) / 1e9
    findings = []
    if not math.isfinite(here.loss) or not difference <= max(trial.TOLERANCES.values()):
        findings.append(f"losses differ by {difference:.2%} from the CPU's")
    return Found([row], findings, f"a photo of {width} px painted at {size} px, loss {here.loss:.4g}")
