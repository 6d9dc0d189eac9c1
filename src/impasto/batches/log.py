"""The log of a batch: one line of JSON for each picture that was painted or failed.

It is only a cache: without it, the provenance in the outputs tells which pictures exist.
"""

import dataclasses
import fnmatch
import glob
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from impasto.errors import OutputError
from impasto.system.digests import file_digest
from impasto.system.paths import is_url, relative_path
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable, reason

NAME: Final = "impasto-batch.jsonl"
# Of it and of the logs of shards.
PATTERN: Final = "impasto-batch*.jsonl"


@dataclass(frozen=True)
class LogEntry:
    """The latest entry of an output.

    Attributes:
        status: `painted`, `failed`, or `beside` for a file that is written beside a picture, such as its preview.
        identity: of the task; None if an input could not be read.
        sha256: of the output's file.
        size: of that file, bytes.
        changed: modification time of the file, ns.
        mark: the entity tag of a file in a store, in place of the three before; see `executors.storage.etags`.
        reason: why it failed.
        content: the path of the photo.
        styles: the paths of the styles.

    """

    status: str
    identity: str | None = None
    sha256: str | None = None
    size: int | None = None
    changed: int | None = None
    mark: str | None = None
    reason: str = ""
    content: str = ""
    styles: Sequence[str] = ()

    def is_of(self, path: Path) -> bool:
        """Whether the file at `path` is the one logged, bit for bit."""
        try:
            info = path.stat()
            if info.st_size != self.size:
                return False
            # A copy has another modification time; then its content decides.
            return info.st_mtime_ns == self.changed or file_digest(path) == self.sha256
        except OSError:
            return False


class BatchLog:
    """The log of a batch or of one shard; logs of other shards in the same folder are read too.

    Args:
        path: of the log; made with the first entry.
        shard: (index, count), if the batch is sharded.

    """

    def __init__(self, path: Path, shard: tuple[int, int] | None = None) -> None:
        self._folder = path.parent
        self._pattern = f"{glob.escape(str(path.with_suffix('')))}*{glob.escape(path.suffix)}"
        self.path = path if shard is None else path.with_name(f"{path.stem}-{shard[0]}-of-{shard[1]}{path.suffix}")
        self._entries = dict(self._read())

    def is_log(self, path: str) -> bool:
        """Whether a file is this log, or that of another shard."""
        return fnmatch.fnmatch(os.path.realpath(path), os.path.realpath(self._pattern))

    def entry(self, output: str) -> LogEntry | None:
        """Return the latest entry of an output."""
        return self._entries.get(self._key(output))

    def add(self, output: str, entry: LogEntry, extra: ReadOnlyTable) -> None:
        """Append an entry, with further values for readers of the log.

        Args:
            output: path or URL of the picture.
            entry: what came of it.
            extra: further values of the line, as JSON has them.

        Raises:
            OutputError: it cannot be written.

        """
        line = {"output": self._key(output), **dataclasses.asdict(entry), **extra}
        self._entries[self._key(output)] = entry
        self._append(json.dumps(line).encode() + b"\n")

    def check(self) -> None:
        """Make the log, and its folder, if there is none.

        Raises:
            OutputError: it cannot be written.

        """
        self._append(b"", make_folder=True)

    def _append(self, data: bytes, *, make_folder: bool = False) -> None:
        try:
            if make_folder and not self._folder.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
            # A single write at the end of the file: the line is complete or missing, except after a power cut.
            with self.path.open("ab", buffering=0) as file:
                file.write(data)
        except OSError as error:
            raise OutputError(
                f"{printable(self.path)}: the log cannot be written ({reason(error)}); choose another --log"
            ) from error

    def _key(self, output: str) -> str:
        if is_url(output):
            return output
        # Relative to the log, so that the folder can be moved and read on other machines.
        return relative_path(os.path.realpath(output), os.path.realpath(self._folder))

    def _read(self) -> Iterator[tuple[str, LogEntry]]:
        names = {field.name for field in dataclasses.fields(LogEntry)}
        lines = [line for path in glob.glob(self._pattern) for line in _lines(Path(path))]  # noqa: PTH207
        for line in sorted(lines, key=lambda line: float(line["time"])):
            values = {name: line[name] for name in names if name in line}
            yield line["output"], LogEntry(**values | {"styles": tuple(map(str, line.get("styles") or ()))})


def _lines(path: Path) -> Iterator[Table]:
    """Yield the complete lines of a log; none if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    for text in data.split(b"\n"):
        try:
            line = json.loads(text)
            # NaN has no place in an order, and would mix up the lines around it.
            is_sound = math.isfinite(float(line["time"])) and isinstance(line["status"], str)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        if is_sound and isinstance(line.get("output"), str) and isinstance(line.get("styles") or [], list):
            yield line
