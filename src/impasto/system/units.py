"""Amounts of memory as people write them."""

import math
import re

from impasto.errors import UsageError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str | int) -> int:
    """Return the bytes of an amount such as 3GB, 2.5 GiB, 800M or 3000000000.

    >>> parse_bytes("2.5 GiB"), parse_bytes("800M")
    (2684354560, 800000000)

    Raises:
        UsageError: it is not a positive amount.

    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?i?)b?\s*", str(text), re.IGNORECASE)
    amount = float(match[1]) * _UNITS.get(match[2].lower(), 0) if match else 0.0
    if not 1 <= amount < math.inf:
        raise UsageError(f"{text!r} is not an amount of memory; give one such as 3GB or 800MB")
    return int(amount)
