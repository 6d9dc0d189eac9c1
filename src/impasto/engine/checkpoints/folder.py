"""A folder with the checkpoint of one run; at every moment one is complete, the last or the one before.

    lock                            locked by the process of the run; the system releases it when the process ends
    checkpoint-000012.safetensors   the tensors
    checkpoint-000012.json          everything else, and the tensors' SHA-256; complete when it exists

Each file is written under another name, synced to the disk and renamed; then the checkpoint before is removed. Nothing
else in the folder is touched.
"""

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock
from safetensors import SafetensorError

from impasto import __version__
from impasto.engine.checkpoints import container
from impasto.engine.checkpoints.snapshot import Snapshot
from impasto.errors import CheckpointError, ImpastoError, OutputError
from impasto.recipe import Recipe
from impasto.system import ownership
from impasto.system.atomic import replace, write_whole
from impasto.system.digests import stream_digest
from impasto.system.locks import lock_folder, release_and_remove
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import printable, reason

SCHEMA: Final = 2

_NAME: Final = re.compile(r"checkpoint-(\d{6,12})\.json")
_NUMBERED: Final = re.compile(r"\.?checkpoint-(\d{6,12})\..*")
_TENSORS: Final = re.compile(r"\.?checkpoint-\d{6,12}\.safetensors(\.tmp)?")
# At the start of every document.
_MARK: Final = b'{\n "impasto-checkpoint": '
# Ours: a document takes some kilobytes, and grows with the number of styles.
_MOST_BYTES: Final = 1 << 24


@dataclass(frozen=True)
class SavedRun:
    """A checkpoint read from disk, except for its tensors.

    Attributes:
        recipe: that the run was started with.
        table: everything else, by name; as `impasto.engine.checkpoints.document` writes it.
        tensors: the file of the tensors, whose SHA-256 was verified.

    """

    recipe: Recipe
    table: ReadOnlyTable
    tensors: Path

    def snapshot(self, device: torch.device) -> Snapshot:
        """Return the state of the run, with its tensors on `device`.

        Raises:
            CheckpointError: the tensors are not those of a run.

        """
        try:
            return Snapshot.of(self.table["position"], container.read(self.tensors, device))
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise _damaged(self.tensors, reason(error)) from error


class Folder:
    """A folder of checkpoints, locked by this process until `close`.

    Args:
        path: of the folder.
        create: whether to make it if it does not exist.

    Raises:
        OutputError: it cannot be made, is no folder, holds something else than checkpoints, or cannot be written to.
        CheckpointError: it does not exist, or another process has locked it.

    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool) -> None:
        self.path = Path(path)
        self._made = False
        self._lock: FileLock | None = None
        try:
            if create and not self.path.exists():
                self.path.mkdir()
                self._made = True
            if not create and not self._numbers():
                raise self._nothing()
            self._check_ours()
            self._lock = lock_folder(self.path)
            self._sweep(keep=self._numbers()[-2:])
        except FileNotFoundError as error:
            problem = "cannot be made: no such folder to make it in" if create else "no such folder"
            raise CheckpointError(f"{printable(self.path)}: {problem}; check the path") from error
        except (FileExistsError, NotADirectoryError) as error:
            raise OutputError(f"{printable(self.path)}: is a file; name the folder of a checkpoint") from error
        except OSError as error:
            raise OutputError(
                f"{printable(self.path)}: checkpoints cannot be kept there ({reason(error)}); choose another folder"
            ) from error

    def __del__(self) -> None:
        self.close()

    @property
    def empty(self) -> bool:
        """Whether it holds no checkpoint."""
        return not self._numbers()

    def close(self) -> None:
        """Release the lock; a folder that was made here and is still empty is removed."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            is_spare = False
            # Somebody may have removed it by now.
            with contextlib.suppress(OSError):
                is_spare = self._made and self.empty
            if is_spare:
                release_and_remove(lock, self.path)
            else:
                lock.release()

    def remove(self) -> None:
        """Remove all checkpoints, and the folder if nothing else is in it."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._sweep(keep=[])
            lock, self._lock, self._made = self._lock, None, False
            release_and_remove(lock, self.path)

    def write(self, snapshot: Snapshot, table: ReadOnlyTable) -> None:
        """Write the next checkpoint, then remove the one before.

        Raises:
            OSError: it could not be written; the one before is still valid.

        """
        # A number that no file has, not even somebody else's.
        names = os.listdir(self.path)  # noqa: PTH208
        number = max((int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))), default=0) + 1
        document, tensors = self._files(number)
        unfinished = tensors.with_name(f".{tensors.name}.tmp")
        digest = container.write(unfinished, snapshot.tensors)
        try:
            size = unfinished.stat().st_size
            replace(unfinished, tensors)
            run = {**table, "position": snapshot.position, "tensors": {"sha256": digest, "bytes": size}}
            write_whole(document, pack(run))
        except BaseException:
            # Also on Ctrl-C: an incomplete checkpoint only takes space.
            for path in (document, unfinished, tensors):
                with contextlib.suppress(OSError):
                    ownership.remove(path)
            raise
        with contextlib.suppress(OSError):
            self._sweep(keep=[number])

    def read(self) -> SavedRun:
        """Return the newest complete checkpoint.

        Raises:
            CheckpointError: there is none, or another version wrote it.

        """
        problem: CheckpointError | None = None
        for number in self._numbers(marked=False)[::-1]:
            try:
                return _read(*self._files(number))
            except CheckpointError as error:
                problem = problem or error
        raise problem or self._nothing()

    def _check_ours(self) -> None:
        """Refuse a folder that holds something, but nothing that says it is one of checkpoints."""
        if self._numbers():
            return
        for path in self.path.iterdir():
            is_lock = path.name == "lock" and ownership.is_empty(path)
            if not is_lock and not ownership.UNFINISHED.fullmatch(path.name) and not self._is_ours(path):
                raise OutputError(
                    f"{printable(self.path)}: is no folder of checkpoints, since {printable(path.name)[:80]} is in it; "
                    "name an empty folder, or a new one"
                )

    def _nothing(self) -> CheckpointError:
        named = self._numbers(marked=False)
        if named:
            return _damaged(self._files(named[-1])[0], "it does not begin as a checkpoint does")
        return CheckpointError(f"{printable(self.path)}: holds no checkpoint; name the folder of one")

    def _numbers(self, *, marked: bool = True) -> list[int]:
        """Return the numbers of the checkpoints, oldest first; with `marked` false of all files of that name."""
        names = os.listdir(self.path)  # noqa: PTH208
        found = {name: int(match[1]) for name in names if (match := _NAME.fullmatch(name))}
        return sorted(
            number for name, number in found.items() if not marked or ownership.has_mark(self.path / name, _MARK)
        )

    def _files(self, number: int) -> tuple[Path, Path]:
        stem = f"checkpoint-{number:06d}"
        return self.path / f"{stem}.json", self.path / f"{stem}.safetensors"

    def _is_ours(self, path: Path) -> bool:
        """Whether a file of tensors, whole or not, is a checkpoint's: it says so, or its document does."""
        document = path.with_suffix(".json")
        return bool(_TENSORS.fullmatch(path.name)) and (
            ownership.is_empty(path) or ownership.has_mark(path, container.MARK) or ownership.has_mark(document, _MARK)
        )

    def _sweep(self, keep: list[int]) -> None:
        """Remove all checkpoints but those in `keep`, and what a killed process left incomplete."""
        kept_paths = {path for number in keep for path in self._files(number)}
        documents = ownership.find(self.path, _NAME, lambda path: ownership.has_mark(path, _MARK))
        tensors = ownership.find(self.path, _TENSORS, self._is_ours)
        # The document first: a document without its tensors would be a damaged checkpoint.
        for path in (*documents, *tensors, *ownership.find(self.path, ownership.UNFINISHED)):
            if path not in kept_paths:
                ownership.remove(path)


def pack(run: ReadOnlyTable) -> bytes:
    """Return the document of a checkpoint: JSON with the version and a SHA-256 of its content."""
    document = {"impasto-checkpoint": SCHEMA, "version": __version__, "sha256": _digest(__version__, run), "run": run}
    return json.dumps(document, indent=1).encode() + b"\n"


def _digest(version: Any, run: Any) -> str:
    return hashlib.sha256(json.dumps([SCHEMA, version, run], sort_keys=True).encode()).hexdigest()


def _read(document: Path, tensors: Path) -> SavedRun:
    try:
        with ownership.open_regular(document) as file:
            content = json.loads(file.read(_MOST_BYTES))
        schema, version, run = content["impasto-checkpoint"], content["version"], content["run"]
        is_whole = content["sha256"] == _digest(version, run)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(document, reason(error)) from error
    if type(schema) is int and schema != SCHEMA:
        raise CheckpointError(
            f"{printable(document)}: is in form {schema}, written by impasto {printable(version)[:40]}, "
            f"and this impasto reads "
            f"form {SCHEMA}; use the version that wrote it"
        )
    if not is_whole:
        raise _damaged(document, "its SHA-256 is not the one noted in it")
    try:
        with ownership.open_regular(tensors) as file:
            digest = stream_digest(file)
        if digest != run["tensors"]["sha256"]:
            raise _damaged(tensors, "its SHA-256 is not the one noted")
        return SavedRun(Recipe.from_table(run["recipe"]), run, tensors)
    except FileNotFoundError as error:
        raise _damaged(tensors, "it is missing") from error
    except OSError as error:
        raise CheckpointError(
            f"{printable(tensors)}: cannot be read ({reason(error)}); see to its permissions"
        ) from error
    except CheckpointError:
        raise
    except (ImpastoError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{printable(document)}: written by impasto {printable(version)[:40]}, does not fit this one "
            f"({reason(error)}); "
            "use the version that wrote it"
        ) from error


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{printable(path)}: is damaged ({problem}); paint the picture anew")
