"""Run commands and measure their time and memory."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """A process that ended with exit code 0."""

    output: str
    seconds: float  # from its start to its end, by the clock
    peak_bytes: int  # its largest resident set; on Linux at least this process's own at its start, some 0.4 GB


def run(
    command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None, *, errors: bool = False
) -> Ended:
    """Run a command to its end, in `environment` and `folder` if given; with `errors`, the output includes stderr.

    Raises:
        SystemExit: it failed; the message ends with what it printed last.

    """
    begun = time.perf_counter()
    stderr = subprocess.STDOUT if errors else None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, cwd=folder
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {output[-1000:]}")
    return Ended(output, seconds, usage.ru_maxrss * 1024)
