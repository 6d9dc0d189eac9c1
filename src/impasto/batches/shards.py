"""A part of the work for each of several machines, the same on all of them."""

import heapq
import re
from collections.abc import Sequence

from impasto.errors import UsageError


def parse(text: str) -> tuple[int, int]:
    """Return (I, N) of `I/N`, 1/N being the first of N shards.

    Raises:
        UsageError: it is none.

    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise UsageError(f"--shard {text!r}: is no shard; give I/N with I from 1 to N, such as 3/16")
    return index, count


def assign(costs: Sequence[float], count: int) -> list[int]:
    """Return the shard of each of some tasks, 0 is the first: the costliest first, each to who has least to do.

    No shard then has more than the others by more than one task (Graham 1969, "Bounds on multiprocessing timing
    anomalies"). Equal costs go by their place in the list, so that every machine comes to the same.
    """
    loads = [(0.0, 0, shard) for shard in range(count)]
    shards = [0] * len(costs)
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        load, number, shard = heapq.heappop(loads)
        shards[index] = shard
        heapq.heappush(loads, (load + costs[index], number + 1, shard))
    return shards
