"""Run the unchanged `impasto` command in this process, and print one more line on stdout: the memory that it took.

python -m benchmarks.measured stylize photo.jpg painting.jpg --json ...
python -m benchmarks.measured --times 2 stylize ...     the same command twice in one process
"""

import itertools
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes

# Ours: on GPUs a run waits for the device only once in several steps, and then reports these steps in a burst, some
# 0.05 ms apart. No step takes less than 1 ms.
_APART = 3e-4  # seconds


@dataclass(frozen=True)
class Painted:
    """What one `impasto` command took, in seconds and bytes, and the loss that it reached."""

    seconds: float  # of the whole process; for a later command in the same process, of this command
    loss: float
    optimisation_seconds: float  # of the run, from its start to its end, with loading the network
    first_step_seconds: float  # from the run's start to its first step
    step_seconds: float | None  # median time of a step at the last scale; None if all its steps were reported at once
    peak_bytes: int  # largest resident set
    device_peak_bytes: int | None  # largest amount of memory that PyTorch held on the GPU

    @property
    def memory(self) -> int:
        """The peak in bytes on the GPU if it was used, else of the process."""
        return self.device_peak_bytes or self.peak_bytes


def paint(*options: str) -> Painted:
    """Run `impasto stylize --json` with these arguments in a process of its own.

    Raises:
        SystemExit: it failed; its message is in this one.

    """
    (painted,) = paint_repeatedly(1, *options)
    return painted


def paint_repeatedly(times: int, *options: str) -> list[Painted]:
    """Run `impasto stylize --json` with these arguments several times in one process, and return what each took.

    Raises:
        SystemExit: it failed; its message is in this one.

    """
    command = [sys.executable, "-m", "benchmarks.measured", "--times", str(times), "stylize", *options]
    ended = processes.run([*command, "--force", "--json"], errors=True)
    return read_all(ended.output, ended.seconds)


def read_all(output: str, seconds: float) -> list[Painted]:
    """Return what each command took, from the events that they printed; `seconds` is the time of the whole process."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    ends = [index + 1 for index, event in enumerate(events) if event["event"] == "memory"]
    first, *later = (events[start:end] for start, end in itertools.pairwise([0, *ends]))
    rest = sum(command[-1]["seconds"] for command in later)
    return [_read(first, seconds - rest), *(_read(command, command[-1]["seconds"]) for command in later)]


def _read(events: Sequence[dict[str, Any]], seconds: float) -> Painted:
    (finished,) = (event for event in events if event["event"] == "finished")
    memory = events[-1]
    steps = [event for event in events if event["event"] == "stepped"]
    first, last = (
        [event["seconds"] for event in steps if event["scale"] == scale]
        for scale in (steps[0]["scale"], steps[-1]["scale"])
    )
    return Painted(
        seconds,
        finished["loss"],
        finished["seconds"],
        first_step_seconds(first),
        step_seconds(last),
        memory["peak_bytes"],
        memory["device_peak_bytes"],
    )


def bursts(times: Sequence[float]) -> list[tuple[float, int]]:
    """Return the time and the number of steps of each burst; on CPUs every step is a burst of its own."""
    found: list[tuple[float, int]] = []
    previous = float("-inf")
    for moment in times:
        if moment - previous < _APART:
            came, count = found.pop()
            found.append((came, count + 1))
        else:
            found.append((moment, 1))
        previous = moment
    return found


def step_seconds(times: Sequence[float]) -> float | None:
    """Return the median time of a step, without the first one if there are others, because it warms up.

    Args:
        times: when each step was reported, in seconds.

    """
    # The steps of a burst were computed since the burst before it.
    between = [(after - before) / count for (before, _), (after, count) in itertools.pairwise(bursts(times))]
    return statistics.median(between[1:] or between) if between else None


def first_step_seconds(times: Sequence[float]) -> float:
    """Return the time to the first step: the time to the first burst minus that of the other steps in it.

    Args:
        times: when each step of the first scale was reported, in seconds. If all were reported at once, it is unknown
            when the first one ended, and the time to the burst is returned.

    """
    came, count = bursts(times)[0]
    return came - (count - 1) * (step_seconds(times) or 0.0)


def peak_bytes() -> int:
    """Return this process's largest resident set so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, getrusage starts with the size of the parent process.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_peak_bytes() -> int | None:
    """Return the largest amount of memory that PyTorch reserved on any one GPU; None if no GPU was used.

    Reserved memory includes that of captured graphs, which belongs to no tensor.
    """
    # Do not import torch if the command did not need it.
    cuda: Any = sys.modules["torch"].cuda if "torch" in sys.modules else None
    if cuda is None or not cuda.is_initialized():
        return None
    return max(int(cuda.max_memory_reserved(index)) for index in range(cuda.device_count()))


def main() -> None:
    """Run the command as often as asked, and print after each run what memory it took."""
    from impasto.cli import main as impasto

    times = 1
    if sys.argv[1:2] == ["--times"]:
        times = int(sys.argv[2])
        del sys.argv[1:3]
    for _ in range(times):
        begun = time.perf_counter()
        try:
            impasto()
        except SystemExit as ended:
            if ended.code:
                raise
        used = {"peak_bytes": peak_bytes(), "device_peak_bytes": device_peak_bytes()}
        print(json.dumps({"event": "memory", "seconds": time.perf_counter() - begun, **used}), flush=True)


if __name__ == "__main__":
    main()
