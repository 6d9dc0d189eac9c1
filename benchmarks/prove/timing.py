"""The parts that measure time: commands, the kernels of a step, the settings of other programs."""

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from benchmarks import crowsonkb, measured, pictures, processes
from benchmarks.peers import neural_style_pt
from benchmarks.prove.painting import PAINTING, PHOTO, single
from benchmarks.prove.part import Found, Given
from benchmarks.records import Row
from impasto.engine import devices
from impasto.jobs.job import Job
from impasto.recipe import Compute, Inputs, presets
from impasto.reports.events import Stepped


def time_pictures(given: Given) -> Found:
    """Measure a cold process, its first and its second picture, and a step, with the default recipe."""
    found = Found()
    for size in (48,) if given.quick else (512, 1024):
        with tempfile.TemporaryDirectory() as temporary:
            content, style = pictures.pair(Path(temporary), size)
            out = str(Path(temporary) / "out.png")
            options = (content, style, "-o", out, "--size", str(size), "--device", given.device)
            first, second = measured.paint_repeatedly(2, *options)
            # GPUs report steps in bursts of ten; the last three of four bursts give the time of a step.
            alone = measured.paint(*options, "--start-size", "final", "--steps", "4" if given.quick else "40")
        found.rows.append(
            {
                "size": size,
                "cold process, s": first.seconds,
                "first picture, s": first.optimisation_seconds,
                "second picture, s": second.optimisation_seconds,
                "second command, s": second.seconds,
                "ms a step": None if alone.step_seconds is None else 1e3 * alone.step_seconds,
                "peak, GB": second.memory / 1e9,
            }
        )
    row = found.rows[0]
    found.summary = (
        f"{row['size']} px: cold {row['cold process, s']:.2f} s, first picture {row['first picture, s']:.2f} s, "
        f"second {row['second picture, s']:.2f} s"
    )
    return found


def count_launches(given: Given) -> Found:
    """Count the kernels of a step and the launches by the CPU, with and without a graph."""
    given.need_cuda()
    found = Found()
    for size, is_captured in itertools.product((64,) if given.quick else (128, 512), (False, True)):
        kernels, launches = count_step(given.device, size, is_captured=is_captured)
        found.rows.append({"size": size, "graph": is_captured, "kernels a step": kernels, "launches a step": launches})
    eager, replayed = found.rows[-2:]
    found.summary = (
        f"{eager['kernels a step']:.0f} kernels a step, {eager['launches a step']:.0f} launches eager and "
        f"{replayed['launches a step']:.1f} with a graph"
    )
    if not replayed["launches a step"] < eager["launches a step"] / 10:
        found.findings.append("a captured step takes as many launches as one that is not")
    return found


def count_step(device: str, size: int, *, is_captured: bool) -> tuple[float, float]:
    """Return how many kernels a step of the default recipe has, and how many launches by the CPU."""
    with (
        mock.patch.object(devices, "uses_graphs", lambda on: is_captured and on.type == "cuda"),
        # GPUs report several steps at once; here every step is waited for.
        mock.patch.object(devices, "steps_per_wait", return_value=1),
    ):
        recipe = single(presets.DEFAULT, size, _WARM_UP + 2)
        run = Job(Inputs.of(PHOTO, [PAINTING]), recipe, Compute(device)).start()
        stepped = (event for event in run if isinstance(event, Stepped))
        for _ in range(_WARM_UP):
            next(stepped)
        events = _profile(lambda: next(stepped))
        run.close()
    kernels = sum(is_kernel for is_kernel, _ in events)
    launches = sum(name.startswith(LAUNCHES) for is_kernel, name in events if not is_kernel)
    return kernels, launches


# Steps that set up and capture graphs.
_WARM_UP = 20


# The names of launches in the runtimes of CUDA and HIP. The launch of a graph counts as one.
LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "hipLaunch", "hipExt", "hipGraphLaunch", "hipModuleLaunch")


def _profile(work: Callable[[], object]) -> Sequence[tuple[bool, str]]:
    """Do `work`; for each event return whether it is a kernel on the GPU, and its name."""
    has_gpu = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if has_gpu else [])]) as profiler:
        work()
        if has_gpu:
            torch.cuda.synchronize()
    return [
        (event.device_type != DeviceType.CPU and not event.name.startswith(("Memcpy", "Memset")), event.name)
        for event in profiler.events() or []
        if not getattr(event, "is_user_annotation", False)
    ]


def compare_peers(given: Given) -> Found:
    """Measure crowsonkb's and neural-style-pt's settings and the default recipe in one run."""
    size = 32 if given.quick else 512
    turn = crowsonkb.turn(
        argparse.Namespace(
            content=PHOTO, style=PAINTING, size=size, steps=1 if given.quick else 3, device=given.device, option=[]
        )
    )
    ours = turn["seconds"]
    found = Found()
    found.rows += [
        _peer("impasto, default", size, ours, ours, "whole command"),
        _peer("crowsonkb's recipe in a plain loop", size, turn["projected_seconds"], ours, "projected from some steps"),
    ]
    iterations = 3 if given.quick else 1000
    with tempfile.TemporaryDirectory() as temporary:
        options = ("-o", str(Path(temporary) / "out.png"), "--recipe", "neural-style", "--steps", str(iterations))
        same = measured.paint(str(PHOTO), str(PAINTING), *options, "--size", str(size), "--device", given.device)
    found.rows.append(_peer("neural-style-pt's recipe by impasto", size, same.seconds, ours, f"{iterations} steps"))
    program = _time_neural_style(given, size, iterations)
    if program is not None:
        found.rows.append(_peer("neural-style-pt itself", size, program, ours, f"{iterations} steps"))
    missing = "" if program else "; neural-style-pt itself is not installed, which scripts/bench neural-style-pt does"
    found.summary = (
        f"default {ours:.2f} s; crowsonkb's settings {turn['projected_seconds']:.1f} s; "
        f"neural-style-pt's {same.seconds:.1f} s{missing}"
    )
    return found


def _peer(program: str, size: int, seconds: float, ours: float, how: str) -> Row:
    return {"program": program, "size": size, "seconds": seconds, "times ours": seconds / ours, "how": how}


def _time_neural_style(given: Given, size: int, iterations: int) -> float | None:
    """Return the seconds that neural-style-pt takes; None if it is not installed."""
    if not any(neural_style_pt.INSTALLED.glob("*.dist-info")):
        return None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        content, style = (Path(path) for path in pictures.pair(folder, size))
        neural_style_pt.write_weights(folder / neural_style_pt.MODEL)
        environment = neural_style_pt.environment_with(neural_style_pt.INSTALLED, dict(os.environ))
        peer = neural_style_pt.Peer(content, style, size, folder, environment, given.device)
        ended: processes.Ended = peer.paint(folder / "out.png", iterations, "-print_iter", "0")
    return ended.seconds
