"""The signals by which a person, a shell or a scheduler stops a program, on each system."""

import signal
import sys
from typing import Final

if sys.platform == "win32":
    # Ctrl-C, a call of TerminateProcess that can be handled, and Ctrl-Break.
    STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    CHECKPOINT: Final[signal.Signals | None] = None
    KILL: Final[signal.Signals | None] = None
else:
    # The last one arrives when a terminal is closed or a connection drops.
    STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Schedulers send it some time before they end a job, to ask for a checkpoint.
    CHECKPOINT: Final[signal.Signals | None] = signal.SIGUSR1
    KILL: Final[signal.Signals | None] = signal.SIGKILL

# All of them but the one that no program can handle.
HANDLED: Final = STOP if CHECKPOINT is None else (*STOP, CHECKPOINT)


def is_to_be_ignored(number: signal.Signals) -> bool:
    """Whether the program was started so that it goes on after the terminal is closed, as by nohup."""
    return sys.platform != "win32" and number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN
