"""`impasto doctor`: everything that a report of a problem should hold."""

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from impasto import __version__
from impasto.cli import paint
from impasto.errors import WeightsError

if TYPE_CHECKING:
    import torch

_PACKAGES = ("torch", "numpy", "pillow", "imagecodecs", "tifffile", "safetensors", "platformdirs", "click", "rich")
# Where a finding stands, not all is well.
_FINDING = "PROBLEM: "


@click.command()
def doctor() -> None:
    """Report versions, devices, threads, weights, codecs and disk space, and paint a little on each device."""
    paint.set_threads()
    click.echo(f"impasto {__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES))
    healthy = True
    for part in (_describe_devices, _check_devices, _check_weights, _check_codecs):
        for line in part():
            healthy = healthy and _FINDING not in line
            click.echo(line)
    click.echo(f"disk: {shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here")
    if not healthy:
        raise WeightsError("something is missing, damaged or does not work, see above for what to do")


def _describe_devices() -> Iterator[str]:
    import torch

    from impasto.engine import cards, devices, graphs
    from impasto.vgg import convolutions

    names = [
        f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)
        for device in devices.list_gpus()
    ]
    yield f"device: {devices.device()} by default; {', '.join(names) or 'no GPU found'}"
    built = f"HIP {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda or 'none'}"
    driver, release = cards.find_driver_version(), cards.read_driver_release() or "of unknown release"
    supports = "no NVIDIA driver" if driver is None else f"NVIDIA's driver {release} for CUDA {driver[0]}.{driver[1]}"
    yield f"PyTorch's build: {built}, kernels for {', '.join(torch.cuda.get_arch_list()) or 'no GPU'}; {supports}"
    yield f"graphs: PyTorch {'checks' if graphs.checks_liveness() else 'cannot check'} that what they read is alive"
    yield f"threads: {torch.get_num_threads()}; convolutions on the CPU: {convolutions.method()}"


def _check_devices() -> Iterator[str]:
    import torch

    from impasto.engine import cards, devices, trial

    usable = []
    for device in devices.list_gpus():
        if device.type == "cuda" and (missing := cards.find_missing_kernels(device)):
            yield f"{device}: {_FINDING}{missing}"
        else:
            usable.append(device)
    if not torch.cuda.is_available() and (problem := cards.find_driver_problem()):
        yield f"cuda: {_FINDING}{problem}"
    for device in (torch.device("cpu"), *usable):
        yield f"memory: {_describe_memory(device)}"
    for painted, problem in trial.examine(usable):
        graph = ", captured in a graph" if painted.captured else ""
        told = f"loss {painted.losses[-1]:.6g} in {painted.seconds:.1f} s{graph}" if painted.losses else "no loss"
        yield f"painting on {painted.title}: {told}" + (f"; {_FINDING}{problem}" if problem else "")


def _describe_memory(device: "torch.device") -> str:
    from impasto.engine import devices

    try:
        free, total = devices.available_memory(device), devices.total_memory(device)
    except RuntimeError as error:
        return f"{device} does not say ({str(error).partition(chr(10))[0]})"
    return (
        f"{device} {'unknown' if free is None else f'{free / 2**30:.1f} GiB free'}"
        f"{'' if total is None else f' of {total / 2**30:.1f}'}"
    )


def _check_weights() -> Iterator[str]:
    from impasto.vgg import weights

    for name, spec in weights.SPECS.items():
        try:
            is_here = spec.embedded or weights.entry(name)
            yield f"weights: {weights.verify(name) if is_here else f'{name} not fetched'}"
        except WeightsError as error:
            yield f"weights: {_FINDING}{error}"


def _check_codecs() -> Iterator[str]:
    from PIL import features

    codecs = {name: bool(features.check(name)) for name in ("jpg", "webp", "avif", "libtiff", "littlecms2")}
    yield "codecs: " + ", ".join(f"{name} {'yes' if available else 'NO'}" for name, available in codecs.items())
    if not all(codecs.values()):
        yield f"codecs: {_FINDING}some are missing from Pillow; install it again from PyPI: pip install --force pillow"
