"""File names and errors as text that is safe in one line of a message."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable


def printable(name: object) -> str:
    r"""Return a file name (or any text) fit for one line of a message.

    A name may contain newlines, terminal escapes, direction overrides or bytes that are no text. These are
    backslash-escaped, so that the message stays on one line and moves no cursor.
    """
    text = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def command_line(words: Iterable[str]) -> str:
    """Return words quoted as one line for the shell of this system."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def reason(error: BaseException) -> str:
    """Return the reason of an error as one short printable line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = printable(" ".join(text.split()))[:160]
    return text or type(error).__name__
