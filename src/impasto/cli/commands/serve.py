"""`impasto serve`: the page."""

import importlib.util
import ipaddress
import os
import re
import sys
import webbrowser
from pathlib import Path

import click
import platformdirs

from impasto.cli import paint
from impasto.cli.options import output as output_options
from impasto.cli.values import OptionValue
from impasto.errors import OutputError, UsageError
from impasto.system import ownership, units
from impasto.system.text import printable, reason

# What a server writes into --token-file.
_ADDRESS = re.compile(rb"http://\S{1,300}/\?token=[\w-]{20,80}\r?\n")
_NEEDED = ("starlette", "uvicorn")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Where to listen [default: 8765, or a free one].")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Listen on another address of this computer; needs --token-file.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    help="Where the address with the secret in it is written for you to carry over, readable by you alone.",
)
@click.option("--state", metavar="DIR", help="Where pictures and jobs are kept [default: your system's place for it].")
@click.option("--keep", default="4GB", show_default=True, metavar="SIZE", help="Of finished pictures; oldest go first.")
@click.option("--no-browser", is_flag=True, help="Do not open the page.")
@output_options.compute_options
def serve(**options: OptionValue) -> None:
    """Open a page on this computer: drop a photo and a painting, and watch.

    Nobody else can reach it: it listens on this computer only, and asks for a secret that is made at every start.
    """
    _check_host(options["host"], options["token_file"])
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the page needs {' and '.join(missing)}; pip install 'impasto[web]'")
    paint.set_threads()
    from impasto.web.server import ServerSettings, serve

    def ready(address: str, ticket_address: str, notes: list[str]) -> None:
        if options["token_file"]:
            _keep(address, Path(options["token_file"]))
        for note in notes:
            click.echo(f"note: {note}", err=True)
        click.echo(f"impasto is at {address}\nCtrl-C ends it; what is unfinished goes on next time.", err=True)
        if not options["no_browser"]:
            webbrowser.open(ticket_address)

    state = Path(options["state"]) if options["state"] else _default_state()
    compute = output_options.read_compute(options)
    number = serve(
        ServerSettings(options["host"], options["port"], state, compute, units.parse_bytes(options["keep"])), ready
    )
    sys.exit(128 + number)


def _default_state() -> Path:
    try:
        return platformdirs.user_state_path("impasto") / "serve"
    except RuntimeError as error:
        # A user without a name or a home, as in containers.
        raise UsageError("there is no home folder to keep pictures in; name a folder with --state") from error


def _check_host(host: str, token_file: str | None) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"{host!r} is no address such as 127.0.0.1; give one of this computer") from None
    if address.is_unspecified:
        raise UsageError(f"{host} is every address at once; name the one that you will open")
    if not address.is_loopback and token_file is None:
        raise UsageError(
            f"{host} can be reached by others; say with --token-file where the secret that keeps them out is to go"
        )


def _keep(address: str, path: Path) -> None:
    if ownership.has_mark(path, b"/?token=") and _ADDRESS.fullmatch(path.read_bytes()):
        # That of a server before this one.
        ownership.remove(path)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(address + "\n")
    except FileExistsError as error:
        raise UsageError(f"{printable(path)}: exists already; name a new file for the secret") from error
    except OSError as error:
        raise OutputError(f"{printable(path)}: cannot be written ({reason(error)}); name another file") from error
