"""Signals: how a person, a shell or a scheduler stops a run, at once or after the present step."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeAlias

from impasto.system.signals import HANDLED, STOP, is_to_be_ignored

if TYPE_CHECKING:
    from impasto.engine.run import Run


class Interrupted(KeyboardInterrupt):
    """One of the signals that stop a run arrived."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.number = number
        self.exit_code = 128 + number  # the shells' convention


def interrupt(number: int, frame: object) -> NoReturn:
    """Raise `Interrupted`; a signal handler."""
    del frame
    raise Interrupted(number)


# What ends a painting early: a signal, or any error, of which one that nobody expected is no exception.
Cause: TypeAlias = Interrupted | Exception


class EarlyEnd:
    """A context that ends at whatever stops a painting, so that what was painted can be saved before anything else.

    Who enters it saves what there is, and then raises `cause` or exits with the code of the signal.

    Attributes:
        cause: what stopped it; None if nothing did.

    """

    def __init__(self) -> None:
        self.cause: Cause | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        del kind
        # Not what closes a generator, exits the process, or is Python's own Ctrl-C: nobody saves a picture after these.
        self.cause = error if isinstance(error, Interrupted | Exception) else None
        return self.cause is not None


@contextmanager
def signals(
    handler: Callable[[int, object], object] | signal.Handlers, numbers: tuple[signal.Signals, ...] = STOP
) -> Iterator[None]:
    """Let `handler` handle some signals while the context lasts."""
    before = {number: signal.signal(number, handler) for number in numbers if not is_to_be_ignored(number)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class Stop:
    """A handler that stops a resumable run after the present step, and any other at once; a second signal stops both.

    Schedulers send SIGUSR1 some time before they end a job.
    """

    NUMBERS: Final = HANDLED

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._asked: int | None = None

    def answer(self, number: int, frame: object) -> None:
        """Handle a signal: note it, or stop at once."""
        del frame
        if self._asked is not None or self._run.checkpoint_writer is None or not self._run.stepped:
            raise Interrupted(number)
        self._asked = number
        if sys.stderr.isatty():
            # Not through Python's buffers, which may be in use at this moment.
            os.write(2, b"\rimpasto: stops after this step; once more to stop at once\n")

    def check(self) -> None:
        """Stop here, between two steps, if a signal asked for it.

        Raises:
            Interrupted: a signal did.

        """
        if self._asked is not None and self._run.resumable:
            raise Interrupted(self._asked)


class Answer:
    """A handler that asks something to stop at the first signal, and raises `Interrupted` at the second.

    Args:
        stop: asks for it; must be safe in a signal handler.

    Attributes:
        number: of the first signal; 0 before that.

    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.number = 0

    def __call__(self, number: int, frame: object) -> None:
        """Handle a signal."""
        del frame
        if self.number:
            raise Interrupted(number)
        self.number = number
        self._stop()
