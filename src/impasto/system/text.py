"""File names, commands and errors as text that is safe in one line of a message; texts that people wrote."""

import codecs
import os
import re
import shlex
import sys
from collections.abc import Iterable
from typing import Final

# cmd and PowerShell take a word of these for itself; PowerShell would make several of 0.7,0.3.
_PLAIN_WORD: Final = re.compile(r"[\w./\\:=+-]+", re.ASCII)


def printable(name: object) -> str:
    r"""Return a file name (or any text) fit for one line of a message.

    A name may contain newlines, terminal escapes, direction overrides or bytes that are no text. These are
    backslash-escaped, so that the message stays on one line and moves no cursor.
    """
    text = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def reason(error: BaseException) -> str:
    """Return the reason of an error as one short printable line."""
    # FFmpeg's errors have it too, without being errors of the system.
    text = getattr(error, "strerror", None) or str(error)
    text = printable(" ".join(text.split()))[:160]
    return text or type(error).__name__


def command_line(words: Iterable[str]) -> str:
    """Return words as a line that this system's shell splits into the same words again.

    On Windows that is cmd or PowerShell. Their rules differ: in a word that has a percent or a dollar sign, or ends in
    a backslash, one of them may see something else.
    """
    if sys.platform != "win32":
        return " ".join(shlex.quote(word) if word.isprintable() else _visible(word) for word in words)
    return " ".join(word if _PLAIN_WORD.fullmatch(word) else f'"{word}"' for word in words)


def _visible(word: str) -> str:
    r"""Return a word with control characters in the quotes of bash and zsh that show them: $'two\x0alines'."""
    quoted = "".join(
        f"\\{c}" if c in "\\'" else c if c.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(c))
        for c in word
    )
    return f"$'{quoted}'"


def decode(data: bytes) -> str:
    """Return the text in a file: UTF-8, or UTF-16 with its mark, as > in PowerShell 5 writes it.

    Raises:
        UnicodeDecodeError: it is neither.

    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")
