"""The `impasto` command in this process, as it is, and one line more on stdout: the memory that it took.

python -m benchmarks.measured stylize photo.jpg painting.jpg --json ...
"""

import itertools
import json
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes


@dataclass(frozen=True)
class Painted:
    """What one `impasto` command took, in seconds and bytes, and the loss that it reached."""

    seconds: float  # of the whole process
    loss: float
    optimisation_seconds: float  # of the run: from its start, the network being loaded, to its end
    first_step_seconds: float  # from the run's start to its first step
    step_seconds: float | None  # median from one step to the next at the last scale; None where it had one step only
    peak_bytes: int  # largest resident set
    device_peak_bytes: int | None  # most memory in tensors on the GPU at once

    @property
    def memory(self) -> int:
        """Bytes where the picture was painted: the GPU's, or the process's."""
        return self.device_peak_bytes or self.peak_bytes


def paint(*options: str) -> Painted:
    """Run `impasto stylize --json` with these arguments in a process of its own.

    Raises:
        SystemExit: it failed; its message is in this one.

    """
    ended = processes.run(
        [sys.executable, "-m", "benchmarks.measured", "stylize", *options, "--force", "--json"], errors=True
    )
    return read(ended.output, ended.seconds)


def read(output: str, seconds: float) -> Painted:
    """Make sense of the events in `output`, one a line."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    (finished,) = (event for event in events if event["event"] == "finished")
    (memory,) = (event for event in events if event["event"] == "memory")
    steps = [event for event in events if event["event"] == "stepped"]
    last = [event["seconds"] for event in steps if event["scale"] == steps[-1]["scale"]]
    return Painted(
        seconds,
        finished["loss"],
        finished["seconds"],
        steps[0]["seconds"],
        step_seconds(last),
        memory["peak_bytes"],
        memory["device_peak_bytes"],
    )


def step_seconds(times: Sequence[float]) -> float | None:
    """Return the median time between steps, the first such time left out where there are others: it warms up."""
    between = [after - before for before, after in itertools.pairwise(times)]
    return statistics.median(between[1:] or between) if between else None


def peak_bytes() -> int:
    """Return this process's largest resident set so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # What Linux's getrusage says begins with the size of the process that started this one.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Run the command, then say what memory it took."""
    from impasto.cli import main as impasto

    try:
        impasto()
    except SystemExit as ended:
        if ended.code:
            raise
    # Not imported here where the command did not need it.
    cuda: Any = sys.modules["torch"].cuda if "torch" in sys.modules else None
    device_peak = cuda.max_memory_allocated() if cuda and cuda.is_initialized() else None
    print(json.dumps({"event": "memory", "peak_bytes": peak_bytes(), "device_peak_bytes": device_peak}))


if __name__ == "__main__":
    main()
