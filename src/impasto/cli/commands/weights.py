"""`impasto weights`: what networks there are, and getting those that are not in the package."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from impasto.errors import WeightsError
from impasto.system.text import printable
from impasto.vgg.weights.spec import SPECS, WeightsSpec

if TYPE_CHECKING:
    from impasto.vgg.weights import DownloadListener

_NAME = click.Choice(list(SPECS))
_FETCHED = click.Choice([name for name, spec in SPECS.items() if spec.embedded is None])
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")


@click.group()
def weights() -> None:
    """List, fetch, check and import the weights of networks.

    VGG-16 comes inside the package. Others lie in the folder that 'impasto weights path' prints: that of IMPASTO_CACHE,
    or your system's for caches. With IMPASTO_OFFLINE=1 nothing is ever downloaded.
    """


@weights.command("list")
def list_() -> None:
    """List the weights that impasto knows."""
    from impasto.vgg.weights import store

    store.folder()  # refuses a cache that cannot be
    width = max(map(len, SPECS))
    for name, spec in SPECS.items():
        size, where = _describe_location(spec)
        click.echo(f"{name:<{width}}  {spec.architecture}  {size / 2**20:>3.0f} MiB  {where}")
        click.echo(f"{'':<{width}}  {spec.source}: {spec.attribution}")


def _describe_location(spec: WeightsSpec) -> tuple[int, str]:
    from impasto.vgg.weights import store

    if spec.embedded:
        return _embedded(spec).stat().st_size, "inside the package"
    try:
        entry = store.entry(spec.name)
        if entry is None:
            return spec.official.bytes if spec.official else 0, "not fetched"
        is_complete = entry.path.is_file() and entry.path.stat().st_size == entry.bytes
        return entry.bytes, "cached" if is_complete else "damaged, see 'impasto weights verify'"
    except WeightsError:
        return 0, "damaged, see 'impasto weights verify'"


def _embedded(spec: WeightsSpec) -> Path:
    if spec.embedded is None:
        raise TypeError(f"{spec.name} is not inside the package")
    return Path(str(resources.files("impasto.vgg.weights") / "data" / spec.embedded.file))


@weights.command()
@click.argument("name", type=_NAME)
@click.option("--force", is_flag=True, help="Download even if they are here.")
@_QUIET
def fetch(name: str, force: bool, quiet: bool) -> None:
    """Download the weights NAME, and check them.

    A download that broke off is gone on with. Where there is no network, the message says what to get by hand.
    """
    from impasto.vgg.weights import fetch

    try:
        with _progress(quiet=quiet) as listener:
            result = fetch(name, force=force, listener=listener)
    except KeyboardInterrupt:
        click.echo(f"impasto: interrupted; 'impasto weights fetch {name}' goes on from there", err=True)
        sys.exit(130)  # 128 + SIGINT, the shells' convention
    if not quiet:
        source = result.entry.source
        origin = "the official file" if source.get("official") else f"your file {printable(source.get('file'))}"
        state = "already here" if result.already else "fetched"
        click.echo(f"{name}: {state}, from {origin}; in {printable(result.entry.path)}", err=True)


@weights.command()
@click.argument("name", type=_NAME, required=False)
def verify(name: str | None) -> None:
    """Check the weights NAME, or all, to the last bit."""
    from impasto.vgg.weights import entry, verify

    if name is not None:
        click.echo(verify(name))
        return
    damaged = 0
    for spec in SPECS.values():
        try:
            is_here = spec.embedded is not None or entry(spec.name) is not None
            click.echo(verify(spec) if is_here else f"{spec.name}, not fetched")
        except WeightsError as error:
            damaged += 1
            click.echo(str(error))
    if damaged:
        raise WeightsError(f"{damaged} of {len(SPECS)} weights are damaged, see above for what to do")


@weights.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", type=_FETCHED, help="Whose weights they are, if the file does not say.")
@click.option("--force", is_flag=True, help="Replace other weights of that name.")
@_QUIET
def import_(file: Path, name: str | None, force: bool, quiet: bool) -> None:
    """Bring the weights in FILE into the cache.

    FILE is recognised by what is in it, not by its name: torchvision's or a Caffe-derived .pth of VGG-19, Keras' .h5
    (which needs pip install 'impasto[keras]'), or a .safetensors.
    """
    from impasto.vgg.weights import import_file

    result = import_file(file, name=name, force=force)
    if not quiet:
        hash_note = "" if result.official else f", its hash is not one that impasto knows ({result.sha256[:12]}...)"
        state = "already here" if result.already else "imported"
        by = "official file" if result.official else f"recognised by {result.recognized_by}"
        click.echo(f"{result.name}: {state}; {by}{hash_note}; in {printable(result.path)}", err=True)


@weights.command()
@click.argument("name", type=_NAME, required=False)
def path(name: str | None) -> None:
    """Print the cache folder, or the file that holds NAME."""
    from impasto.vgg.weights import store

    if name is None:
        click.echo(store.folder())
        return
    spec = SPECS[name]
    if spec.embedded:
        click.echo(_embedded(spec))
        return
    entry = store.entry(name)
    if entry is None:
        raise WeightsError(spec.not_here())
    click.echo(entry.path)


@contextmanager
def _progress(*, quiet: bool) -> Iterator["DownloadListener"]:
    """Show a download on standard error: a bar on a terminal, else a line now and then."""
    from impasto.vgg.weights import DownloadListener

    if quiet:
        yield DownloadListener()
    elif not sys.stderr.isatty():
        yield DownloadListener(_Lines().show, lambda text: click.echo(text, err=True))
    else:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("")
            yield DownloadListener(
                lambda received, total: bar.update(task, completed=received, total=total),
                lambda text: bar.console.print(text, markup=False, highlight=False),
            )


class _Lines:
    """Writes how much has come, every few seconds: for logs and pipes."""

    INTERVAL = 10.0  # seconds, as the lines of a run

    def __init__(self) -> None:
        self._next = time.monotonic() + self.INTERVAL

    def show(self, received: int, total: int) -> None:
        """Write a line if it is time for one."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.INTERVAL
            click.echo(f"{received / 2**20:.0f} of {total / 2**20:.0f} MiB", err=True)
