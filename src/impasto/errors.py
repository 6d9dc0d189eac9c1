"""Everything impasto raises on purpose, and the exit code each error becomes on the command line.

    ImpastoError                  exit 1: something failed
    ├── UsageError                exit 2: the request itself is wrong; nothing was started
    │   ├── RecipeError           an unknown or out-of-range recipe field, layer, loss, preset
    │   └── OutputError           the output exists, is an input, has an unknown ending, cannot be written to
    ├── PictureError              a picture that cannot be read or written
    ├── FilmError                 a film that cannot be read or written
    ├── WeightsError              weights that are missing, damaged or not what they claim to be
    ├── DeviceError               a device that is not there or has too little memory
    │   └── DeviceLostError       a device that failed; this process cannot use it any more
    ├── CheckpointError           a checkpoint that is missing, damaged, in use or of other pictures
    └── DivergedError             an optimisation that produced no finite picture

A message says what happened, to which file or field, and what to do about it, in one line.
"""

import difflib
from collections.abc import Iterable

# Ours: no name here is longer, and comparing a text of megabytes with each would take minutes.
_LONGEST_NAME = 100


class ImpastoError(Exception):
    """Base of every error that impasto raises on purpose."""

    exit_code = 1


class UsageError(ImpastoError):
    """The request is wrong; nothing was started and nothing was written."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe names something that does not exist or holds a value outside its range."""


class OutputError(UsageError):
    """The output path cannot be used: it exists, is an input, or cannot be written to."""


class PictureError(ImpastoError):
    """A picture could not be read or written."""


class FilmError(ImpastoError):
    """A film could not be read or written."""


class WeightsError(ImpastoError):
    """Network weights are missing, damaged or not what they claim to be."""


class DeviceError(ImpastoError):
    """The device asked for is not there, or its memory is too small for the run."""


class DeviceLostError(DeviceError):
    """The device failed during the run; this process cannot use it any more."""


class CheckpointError(ImpastoError):
    """A checkpoint is missing, damaged, used by another process, or was made of other pictures."""


class DivergedError(ImpastoError):
    """The optimisation produced no finite picture."""


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return the end of an error message about an unknown `name`: the nearest valid name, or all of them."""
    valid, name = list(valid), name[:_LONGEST_NAME]
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose from {', '.join(valid)}"
