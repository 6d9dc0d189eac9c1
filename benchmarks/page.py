"""What the page costs a run: painted by the studio of `impasto serve` with its previews, and without any.

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


def painted(studio: JobQueue, order: Order) -> tuple[float, float]:
    """Paint while a page pulls every preview; return the seconds of the run, and those to the first preview."""
    begun, first, pulled = time.monotonic(), 0.0, 0
    id = studio.add(order).id
    while studio.task(id).state in ("queued", "running"):
        if studio.task(id).preview > pulled:
            found = studio.preview(id)
            pulled = found[0] if found else pulled
            first = first or time.monotonic() - begun
        time.sleep(0.05)
    assert studio.task(id).state == "finished", studio.task(id).error
    return studio.task(id).seconds, first


def measure(size: int, turns: int, device: str) -> Row:
    """Time runs with previews and runs without in turn; the first preview also of the very first run."""
    shown: list[float] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        storage = Storage(Path(temporary))
        photo, style = (storage.add((SAMPLES / name).read_bytes(), name).id for name in PAIR)
        order = Order(photo, (Style(style),), presets.DEFAULT.replace(size=size))
        studio = JobQueue(storage, 10**9)
        worker = QueueWorker(studio, Compute(device))
        worker.start()
        _, cold = painted(studio, order)
        warm = []
        for _ in range(turns):
            seconds, first = painted(studio, order)
            shown.append(seconds)
            warm.append(first)
            with mock.patch.object(Preview, "show", return_value=False):
                plain.append(painted(studio, order)[0])
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

Made by `scripts/bench page`: what previews add to the time of a run of the default recipe, painted by the studio of
`impasto serve` with a page that pulls each one, over the same without any, in turn; the median and, in brackets, the
least and the most. And the seconds from the order to the first preview: of the first run of the process, which loads
the network, and at worst of the later ones.
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
