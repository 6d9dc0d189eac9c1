"""Standard output and error, whose reader may go away: no picture is lost for that."""

import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO


class LastingStream:
    """A text stream that swallows what can no longer be written, and remembers why; a picture matters more than a line.

    The bytes of a picture go to `buffer`, whose errors are raised as ever.

    Args:
        stream: of the process.

        was_closed: whether the process was started without it.

    Attributes:
        fault: the first error; None before there is one.

    """

    def __init__(self, stream: TextIO, *, was_closed: bool) -> None:
        self._stream = stream
        self.was_closed = was_closed
        self.fault: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text, if that is still possible."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if that is still possible."""
        self._attempt(self._stream.flush)

    def _attempt(self, action: Callable[[], object]) -> None:
        if self.fault is None:
            try:
                action()
            except OSError as error:
                self.fault = error
                # Python would try to write the rest at its end, and fail again.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_lasting() -> None:
    """Make the standard streams such that printing never ends the program; called once, as it begins."""
    # Where one is closed, the next file that is opened would get its number, and what is printed.
    while (number := os.open(os.devnull, os.O_RDWR)) < _STREAMS:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        own = getattr(sys, name)
        stream = own or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        if isinstance(stream, io.TextIOWrapper):
            if stream.errors == "strict":
                # Names and recipes may have characters that the encoding of a file or a pipe lacks, as on Windows.
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, LastingStream(stream, was_closed=own is None))


def is_output_closed() -> bool:
    """Whether the process was started without a standard output."""
    return isinstance(sys.stdout, LastingStream) and sys.stdout.was_closed


def output_fault() -> OSError | None:
    """Return why standard output could not be written to; None if it could."""
    return sys.stdout.fault if isinstance(sys.stdout, LastingStream) else None


# Standard input, output and error have the numbers 0 to 2.
_STREAMS: Final = 3
