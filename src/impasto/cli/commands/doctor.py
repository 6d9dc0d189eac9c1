"""`impasto doctor`: everything that a report of a problem should hold."""

import importlib.metadata
import platform
import shutil
from pathlib import Path

import click

from impasto import __version__
from impasto.errors import WeightsError

_PACKAGES = ("torch", "numpy", "pillow", "imagecodecs", "tifffile", "safetensors", "platformdirs", "click", "rich")


@click.command()
def doctor() -> None:
    """Report versions, devices, threads, weights, codecs and disk space."""
    import torch
    from PIL import features

    from impasto.engine import devices
    from impasto.vgg import weights

    click.echo(f"impasto {__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES))
    click.echo(f"device: {devices.device()} by default; {_devices()}")
    click.echo(f"threads: {torch.get_num_threads()}")
    healthy = True
    for name, spec in weights.SPECS.items():
        try:
            if spec.embedded or weights.entry(name):
                click.echo(f"weights: {weights.verify(name)}")
            else:
                click.echo(f"weights: {name} not fetched")
        except WeightsError as error:
            healthy = False
            click.echo(f"weights: {error}")
    codecs = {name: bool(features.check(name)) for name in ("jpg", "webp", "avif", "libtiff", "littlecms2")}
    click.echo("codecs: " + ", ".join(f"{name} {'yes' if available else 'NO'}" for name, available in codecs.items()))
    click.echo(f"disk: {shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here")
    if not (healthy and all(codecs.values())):
        raise WeightsError("something is missing or damaged, see above for what to do")


def _devices() -> str:
    import torch

    names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return ", ".join(names) or "no GPU found"
