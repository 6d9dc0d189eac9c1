"""Notes and hints for the person at the terminal."""

from collections.abc import Iterable

import click

from impasto.jobs.output import STREAM, Output
from impasto.reports.advice import Advice
from impasto.system.text import printable


def where(output: Output) -> str:
    """Return in words where the picture goes."""
    return "standard output" if output.path == STREAM else printable(output.path)


class Notes:
    """Writes notes and hints to standard error, unless the command is to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def line(self, text: str) -> None:
        """Write one line."""
        if not self._quiet:
            click.echo(text, err=True)

    def about(self, notes: Iterable[str]) -> None:
        """Write what a person should know of the work."""
        for note in notes:
            self.line(f"note: {note}")

    def hints(self, advice: Iterable[Advice]) -> None:
        """Write what may make the picture better."""
        for hint in advice:
            self.line(f"hint: {hint}")
