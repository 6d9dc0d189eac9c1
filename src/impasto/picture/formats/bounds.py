"""Decoders kept in bounds: damage and excess become one clear error."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from impasto.errors import ImpastoError, PictureError
from impasto.picture.formats.damage import DamagedError
from impasto.picture.formats.samples import Samples, upright
from impasto.picture.limits import Limits
from impasto.picture.profiles import TOO_LONG
from impasto.system.text import printable, reason

# What tells about the file. What else Python and libraries raise tells about code, and is left out of messages.
_IN_WORDS = (DamagedError, OSError)

_warnings_lock = threading.RLock()


def _renew_lock() -> None:
    global _warnings_lock
    _warnings_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child would wait for ever for a lock that was held by a thread, which it has not.
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn any exception of a decoder into a `PictureError`, and suppress its warnings, while the context lasts.

    Python can suppress warnings for the whole process only, so files are decoded one at a time, under a lock.

    Raises:
        PictureError: Decoding failed.
    """
    try:
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImpastoError:
        raise
    except MemoryError as error:
        raise PictureError(f"{printable(name)}: does not fit into memory; make it smaller") from error
    except Exception as error:
        # Damaged files make decoders raise nearly everything, struct.error, KeyError and AssertionError included.
        words = f" ({reason(error)})" if isinstance(error, _IN_WORDS) else ""
        raise PictureError(
            f"{printable(name)}: is damaged or cut short{words}; get it again, or save it anew elsewhere"
        ) from error


def without_long_profile(samples: Samples, limits: Limits) -> Samples:
    """Return the samples, without their profile if it exceeds the limits; a note says so."""
    if len(samples.icc_profile or b"") <= limits.max_profile_bytes:
        return samples
    return replace(samples, icc_profile=None, notes=(*samples.notes, TOO_LONG))


def upright_size(samples: Samples) -> tuple[int, int]:
    """Return (height, width) of decoded samples, upright."""
    height, width = upright(samples.values, samples.orientation).shape[:2]
    return height, width
