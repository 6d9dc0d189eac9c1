"""How much time the page's previews cost: runs in the queue of `impasto serve`, with previews and without.

scripts/bench page                  astronaut and night_swirls at 512 px with the default recipe, 3 turns
scripts/bench page --size 256
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from benchmarks import records
from benchmarks.records import SAMPLES, Row
from impasto.recipe import Compute, Style, presets
from impasto.web.preview import Preview
from impasto.web.queue import JobQueue
from impasto.web.requests import Order
from impasto.web.storage import Storage
from impasto.web.worker import QueueWorker

JOB = "page"
KEY = ("size",)


def paint(queue: JobQueue, order: Order) -> tuple[float, float]:
    """Paint, fetching every preview as the page does; return the seconds of the run and to the first preview."""
    begun, first, fetched = time.monotonic(), 0.0, 0
    id = queue.add(order).id
    while queue.task(id).state in ("queued", "running"):
        if queue.task(id).preview > fetched:
            preview = queue.preview(id)
            fetched = preview[0] if preview else fetched
            first = first or time.monotonic() - begun
        time.sleep(0.05)
    assert queue.task(id).state == "finished", queue.task(id).error
    return queue.task(id).seconds, first


def measure(size: int, turns: int, device: str) -> Row:
    """Time runs with and without previews in turn, after one that loads the network."""
    shown: list[float] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        storage = Storage(Path(temporary))
        photo, style = (storage.add((SAMPLES / name).read_bytes(), name).id for name in PAIR)
        order = Order(photo, (Style(style),), presets.DEFAULT.replace(size=size))
        queue = JobQueue(storage, 10**9)
        worker = QueueWorker(queue, Compute(device))
        worker.start()
        _, cold = paint(queue, order)
        warm = []
        for _ in range(turns):
            seconds, first = paint(queue, order)
            shown.append(seconds)
            warm.append(first)
            with mock.patch.object(Preview, "show", return_value=False):
                plain.append(paint(queue, order)[0])
        worker.close(10)
        storage.close()
    load = os.getloadavg()[0]
    return {"size": size, "shown": shown, "plain": plain, "cold": cold, "warm": warm, "load": load}


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    rows = []
    for part in records.parts(JOB, folder):
        for row in part["rows"]:
            costs = sorted(one / other - 1 for one, other in zip(row["shown"], row["plain"], strict=True))
            cost = f"{statistics.median(costs):+.1%} ({costs[0]:+.1%} to {costs[-1]:+.1%})"
            seconds = f"{statistics.median(row['plain']):.1f}", f"{row['cold']:.1f}", f"{max(row['warm']):.1f}"
            rows.append((records.described(part["machine"]), str(row["size"]), cost, *seconds, f"{row['load']:.1f}"))
    columns = ("machine", "px", "previews cost", "run, s", "first preview, cold, s", "later, s", "load")
    return "\n".join([INTRODUCTION, *records.table(columns, rows), ""]) if rows else ""


PAIR = ("astronaut.jpg", "night_swirls.jpg")
INTRODUCTION = """
## The page

Made by `scripts/bench page`: how much longer a run of the default recipe takes in the queue of `impasto serve` if a
page fetches every preview, compared with runs without previews, measured in turn (median, smallest and largest). The
time to the first preview is that of the first run of the process, which loads the network, and the longest of the later
runs.
"""


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="long side in pixels [512]")
    parser.add_argument("--turns", type=int, default=3, help="turns [3]")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    row = measure(arguments.size, arguments.turns, arguments.device)
    records.keep(arguments, JOB, row, KEY)
