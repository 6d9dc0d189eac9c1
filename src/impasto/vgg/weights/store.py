"""The cache of weights that are not in the package; no file in it is ever half written. No torch.

    weights/NAME-0123456789abcdef.safetensors   the tensors; the name holds the beginning of its SHA-256
    weights/NAME.json                           written last: which file it is, all of its SHA-256, where it came from
    weights/NAME.lock                           locked by the process that fetches, imports or replaces NAME
    weights/NAME-0123456789abcdef.part          a download under way

A file's name follows from its content, so a reader that comes while another process replaces the weights sees either
the old pair or the new one, never one's note with the other's tensors.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from impasto.errors import WeightsError
from impasto.system import ownership
from impasto.system.atomic import write_whole
from impasto.system.folders import cache_folder
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import printable, reason
from impasto.vgg.weights.files import not_written, temporary_name

FORMAT: Final = 1

# A note is a few hundred bytes; ours, so that a file that is no note is not read to its end.
_NOTE_LIMIT: Final = 2**16


@final
@dataclass(frozen=True)
class CacheEntry:
    """An entry of the cache, as its note says; its file is still to be checked."""

    name: str
    path: Path
    sha256: str
    bytes: int
    source: ReadOnlyTable  # file (its name), sha256, official


def folder() -> Path:
    """Return the folder that holds fetched and imported weights, in that of the caches.

    Raises:
        WeightsError: `IMPASTO_CACHE` is not an absolute path.

    """
    return cache_folder() / "weights"


def prepare() -> Path:
    """Return the folder, made if it is not there.

    Raises:
        WeightsError: it cannot be made.

    """
    path = folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from error
    return path


def entry(name: str) -> CacheEntry | None:
    """Return what the cache says about the weights called `name`, or None where it has none.

    Raises:
        WeightsError: the note about them cannot be read.

    """
    note = folder() / f"{name}.json"
    try:
        with note.open("rb") as file:
            table = json.loads(file.read(_NOTE_LIMIT))
        entry = CacheEntry(name, _path(name, table["sha256"]), table["sha256"], table["bytes"], table["source"])
        sound = table["format"] == FORMAT and table["name"] == name and isinstance(entry.source, dict)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WeightsError(f"{printable(note)}: cannot be read ({reason(error)}); see to its permissions") from error
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound or not isinstance(entry.bytes, int):
        raise WeightsError(f"{printable(note)}: damaged; {repair_hint(name)}")
    return entry


def repair_hint(name: str) -> str:
    """Return what to do about damaged weights, as the end of a message."""
    return f"run 'impasto weights fetch {name}' or 'impasto weights import FILE' again"


def _path(name: str, sha256: str) -> Path:
    # Named by a checked hash, never by a name in the note, so that a note cannot point out of the folder.
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("no SHA-256")
    return folder() / f"{name}-{sha256[:16]}.safetensors"


def keep(name: str, content: bytes, source: ReadOnlyTable) -> CacheEntry:
    """Put `content`, a safetensors file, into the cache in place of the entry there. The caller holds the lock.

    Args:
        name: of the weights.
        content: of the safetensors file.
        source: where it came from, as JSON has it.

    Raises:
        WeightsError: it could not be written; what was there before is untouched.

    """
    sha256 = hashlib.sha256(content).hexdigest()
    new = CacheEntry(name, _path(name, sha256), sha256, len(content), source)
    note = {"format": FORMAT, "name": name, "sha256": sha256, "bytes": len(content), "source": dict(source)}
    place = prepare()
    try:
        write_whole(new.path, content, temporary_name(name))
        text = json.dumps(note, indent=1).encode()
        write_whole(place / f"{name}.json", text, temporary_name(name))
    except OSError as error:
        raise not_written(new.path, error) from error
    for leftover in _leftovers(new):
        # On Windows a file that somebody reads cannot be removed; the next change of these weights removes it.
        with contextlib.suppress(OSError):
            ownership.remove(leftover)
    return new


def _leftovers(new: CacheEntry) -> Iterator[Path]:
    """Yield the files of earlier weights of this name, and what a killed process left behind."""
    name = re.escape(new.name)
    pattern = re.compile(rf"{name}-[0-9a-f]{{16}}\.safetensors|\.{name}-[0-9a-f]{{16}}\.tmp")
    for path in ownership.find(new.path.parent, pattern):
        if path != new.path:
            yield path
