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
    """Says things to the person on standard error, unless told to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def line(self, text: str) -> None:
        """Say one thing."""
        if not self._quiet:
            click.echo(text, err=True)

    def about(self, notes: Iterable[str]) -> None:
        """Say what a person should know."""
        for note in notes:
            self.line(f"note: {note}")

    def hints(self, advice: Iterable[Advice]) -> None:
        """Say what helps."""
        for hint in advice:
            self.line(f"hint: {hint}")
