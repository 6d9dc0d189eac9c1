"""Shards: the part of a batch for each of several machines, computed alike on all of them."""

import heapq
import re
from collections.abc import Sequence

from impasto.errors import UsageError


def parse(text: str) -> tuple[int, int]:
    """Return (I, N) of `I/N`; 1/N is the first of N shards.

    Raises:
        UsageError: it is not of that form.

    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise UsageError(f"--shard {text!r}: is no shard; give I/N with I from 1 to N, such as 3/16")
    return index, count


def assign(costs: Sequence[float], count: int) -> list[int]:
    """Return the shard of each task, 0 is the first: the costliest task first, each to the shard with the least cost.

    No shard then costs more than another by more than one task (Graham 1969, "Bounds on multiprocessing timing
    anomalies"). Equal costs keep their order in the list, so that every machine computes the same.
    """
    loads = [(0.0, 0, shard) for shard in range(count)]
    shards = [0] * len(costs)
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        load, number, shard = heapq.heappop(loads)
        shards[index] = shard
        heapq.heappush(loads, (load + costs[index], number + 1, shard))
    return shards
