"""The `impasto` command. Nothing here imports torch before there is work for it."""

import sys
import traceback
from typing import NoReturn

import click

from impasto import __version__
from impasto.cli.commands.batch import batch
from impasto.cli.commands.compare import compare
from impasto.cli.commands.completion import completion
from impasto.cli.commands.doctor import doctor
from impasto.cli.commands.loss import loss
from impasto.cli.commands.recipe import recipe
from impasto.cli.commands.reconstruct import reconstruct
from impasto.cli.commands.resume import resume
from impasto.cli.commands.serve import serve
from impasto.cli.commands.show import show
from impasto.cli.commands.stylize import stylize
from impasto.cli.commands.sweep import sweep
from impasto.cli.commands.texture import texture
from impasto.cli.commands.video import video
from impasto.cli.commands.weights import weights
from impasto.cli.streams import make_lasting, output_fault
from impasto.errors import ImpastoError
from impasto.system.text import reason


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: impasto stylize photo.jpg painting.jpg -o out.png",
)
@click.version_option(__version__, "--version", message="impasto %(version)s")
def command() -> None:
    """Paint a photograph in the style of a picture."""


for _subcommand in (
    stylize, batch, video, resume, serve, sweep, texture, reconstruct, loss, compare, show, recipe, weights, doctor,
    completion,
):  # fmt: skip
    command.add_command(_subcommand)


def main() -> NoReturn:
    """Run the command and exit: 0 for success, 2 for a wrong request, 1 for a failure, 128 + N after signal N."""
    make_lasting()
    try:
        # On Windows click expands patterns of names, which shells there do not. A batch does so itself: its photos are
        # one word, and a pattern made into many would turn most of them into styles.
        expand = sys.argv[1:2] != ["batch"]
        code = command.main(prog_name="impasto", standalone_mode=False, windows_expand_args=expand)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = error.exit_code
    except click.ClickException as error:
        _say(_one_line(error))
        code = error.exit_code
    except ImpastoError as error:
        _explain(error, str(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; nothing was written")
        code = 130
    except BrokenPipeError:
        # The reader of a picture has gone away.
        code = 1
    except MemoryError as error:
        _explain(error, "not enough memory; choose a smaller --size, or allow more, with ulimit -v for instance")
        code = 1
    except Exception as error:
        # An unexpected error is a bug: print one line, and the traceback only with --verbose.
        _explain(error, f"unexpected {type(error).__name__}: {error}; please report this with the output of -v")
        code = 1
    sys.stdout.flush()
    fault = output_fault()
    if fault is not None:
        if not isinstance(fault, BrokenPipeError):
            _say(f"standard output could not be written ({reason(fault)})")
        code = code or 1
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return f"{message} See '{context.command_path} --help'." if context else message


def _explain(error: Exception, message: str) -> None:
    if "-v" in sys.argv or "--verbose" in sys.argv:
        traceback.print_exception(error)
    _say(" ".join(message.split()))


def _say(message: str) -> None:
    click.echo(f"impasto: {message}", err=True)
