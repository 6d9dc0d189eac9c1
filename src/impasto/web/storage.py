"""The server's storage: pictures, jobs, and the secret part of its address. Only names made here become paths."""

import contextlib
import dataclasses
import json
import os
import re
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from impasto.errors import OutputError, PictureError, UsageError
from impasto.picture import DEFAULT_LIMITS, Limits, Picture, as_picture, read_picture
from impasto.recipe.provenance import plain_name
from impasto.system import cgroups, ownership
from impasto.system.atomic import write_whole
from impasto.system.locks import try_lock
from impasto.system.ownership import open_regular
from impasto.system.tables import Table
from impasto.system.text import printable, reason
from impasto.web import thumbnails

# Ours: an uncompressed 16-bit TIFF of 24 million pixels takes 144 MB, a phone's JPEG 5.
MOST_UPLOAD: Final = 150 * 1024**2
# Ours: more than any telephone takes, and with the largest formats 75 bytes a pixel.
MOST_PIXELS: Final = 60_000_000
_BYTES_PER_PIXEL: Final = 75
# Names that are made here.
_JOB: Final = re.compile(r"[0-9a-f]{16}")
_ROOM: Final = re.compile(rb"[\w-]{8,64}")
# Ours: a record with its curve takes 50 kB.
_MOST_RECORD: Final = 10_000_000
# Ours: somebody may still be about to use an uploaded picture.
_KEPT_UNUSED: Final = 24 * 3600.0
# Ours: longer names are cut on the page anyway.
_LONGEST_NAME: Final = 80


@dataclass(frozen=True)
class StoredPicture:
    """An uploaded picture.

    Attributes:
        id: made here.
        name: of the original file, to be shown and put into provenance, never opened.
        sha256: of the original file.
        height: px.
        width: px.
        notes: on what was lost or assumed in reading it.

    """

    id: str
    name: str
    sha256: str | None
    height: int
    width: int
    notes: tuple[str, ...] = ()


def _limits() -> Limits:
    """Return the limits of an upload: stricter than the command's, and within half of the memory that is free."""
    free = min(psutil.virtual_memory().available, cgroups.memory_limit() or sys.maxsize)
    pixels = free // 2 // _BYTES_PER_PIXEL
    return dataclasses.replace(
        DEFAULT_LIMITS, max_file_bytes=MOST_UPLOAD, max_pixels=max(1_000_000, min(MOST_PIXELS, pixels))
    )


class Storage:
    """A storage folder, used by one server at a time.

    Args:
        folder: made if it does not exist, readable by its owner only.

    Raises:
        UsageError: another server uses it.
        OutputError: it cannot be made or written to.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []  # on what was set aside
        try:
            self._claim()
            lock = try_lock(folder / "lock")
            if lock is None:
                raise UsageError(
                    f"{printable(folder)}: another impasto serve keeps its work there; "
                    "use it, or name another with --state"
                )
            self._lock = lock
            self.room = self._room()
        except OSError as error:
            raise OutputError(
                f"{printable(folder)}: cannot be used ({reason(error)}); name another with --state"
            ) from error
        self.pictures = {stored.id: stored for stored in self._stored()}

    def _claim(self) -> None:
        """Make the folder, readable by its owner only.

        Raises:
            UsageError: it holds something else.
            OSError: it cannot be made or changed.

        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {path.name for path in self.folder.iterdir()}
        others = set() if "room" in names else names - {"lock", "pictures", "jobs"}
        if others:
            raise UsageError(
                f"{printable(self.folder)}: is no folder of 'impasto serve', since {printable(min(others))[:80]} is in "
                "it; name an empty one, or a new one, with --state"
            )
        for path in (self.folder, self.folder / "pictures", self.folder / "jobs"):
            path.mkdir(mode=0o700, exist_ok=True)
            if sys.platform != "win32":
                path.chmod(0o700)

    def set_aside(self, path: Path) -> None:
        """Rename a file that cannot be read, so that it is there for whoever looks for it, and is in nobody's way."""
        aside = path.with_name(f"{path.name}.unreadable")
        try:
            path.replace(aside)
        except OSError as error:
            self.notes.append(f"{printable(path)}: cannot be read, nor set aside ({reason(error)})")
        else:
            self.notes.append(f"{printable(path)}: cannot be read, and is {printable(aside.name)} now")

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.release()

    def add(self, data: bytes, name: str) -> StoredPicture:
        """Decode an uploaded picture, and store it in our own format.

        Raises:
            PictureError: it is no picture, exceeds the limits, or cannot be written.

        """
        name = plain_name(name)[-_LONGEST_NAME:]
        try:
            picture = as_picture(data, limits=_limits())
        except PictureError as error:
            # Name the file in the message instead of "memory".
            raise PictureError(str(error).replace("memory:", f"{printable(name)}:", 1)) from error
        stored = StoredPicture(
            secrets.token_hex(16), name, picture.sha256, picture.height, picture.width, tuple(picture.notes)
        )
        picture.save(self._picture(stored.id), bits=picture.bits)
        self.put(self._picture(stored.id, ".jpg"), thumbnails.jpeg(picture, thumbnails.LARGE))
        self.put(self._picture(stored.id, ".json"), json.dumps(dataclasses.asdict(stored)).encode())
        self.pictures[stored.id] = stored
        return stored

    def picture(self, id: str) -> Picture:
        """Return a stored picture, under the name of its original file.

        Raises:
            PictureError: it has been removed.

        """
        stored = self.known(id)
        return dataclasses.replace(
            read_picture(self._picture(id)), source=stored.name, sha256=stored.sha256, remembered=None
        )

    def known(self, id: str) -> StoredPicture:
        """Return the record of a picture.

        Raises:
            UsageError: there is none with that id.

        """
        if id not in self.pictures:
            raise UsageError("one of the pictures is no longer here; choose it again")
        return self.pictures[id]

    def view(self, id: str) -> bytes:
        """Return a stored picture as a JPEG for the page."""
        return self._picture(self.known(id).id, ".jpg").read_bytes()

    def job(self, id: str) -> Path:
        """Return the folder of a job whose id was made here."""
        return self.folder / "jobs" / id

    def new_job(self) -> str:
        """Make a folder for a job, and return its id."""
        id = secrets.token_hex(8)
        (self.job(id) / "stages").mkdir(mode=0o700, parents=True)
        return id

    def jobs(self) -> list[tuple[str, Table]]:
        """Return the ids and records of all jobs."""
        tasks = []
        for path in sorted((self.folder / "jobs").iterdir()):
            record = path / "job.json"
            # Without one its folder was just being made.
            if _JOB.fullmatch(path.name) and os.path.lexists(record):
                table = self._read_table(record)
                tasks += [] if table is None else [(path.name, table)]
        return tasks

    def _read_table(self, path: Path) -> Table | None:
        """Return the table in a file; None after setting it aside if there is none in it."""
        try:
            with open_regular(path) as file:
                table = json.loads(file.read(_MOST_RECORD))
        except (OSError, ValueError, RecursionError):
            table = None
        if isinstance(table, dict):
            return table
        self.set_aside(path)
        return None

    def remove_job(self, id: str) -> None:
        """Remove a job with all its pictures."""
        ownership.remove_tree(self.job(id))

    def drop(self, path: Path) -> None:
        """Remove a file or folder of a job, in whatever state it is."""
        if path.is_dir():
            ownership.remove_tree(path)
        else:
            ownership.remove(path)

    def size_of(self, id: str) -> int:
        """Return the bytes that a job takes."""
        return sum(path.stat().st_size for path in self.job(id).rglob("*") if path.is_file())

    def sweep(self, used: set[str]) -> None:
        """Remove uploaded pictures that no job uses and that are older than a day."""
        for id in set(self.pictures) - used:
            with contextlib.suppress(OSError):
                if time.time() - self._picture(id).stat().st_mtime > _KEPT_UNUSED:
                    del self.pictures[id]
                    for ending in (".png", ".jpg", ".json"):
                        ownership.remove(self._picture(id, ending))

    def put(self, path: Path, data: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            PictureError: it cannot be written.

        """
        try:
            write_whole(path, data)
        except OSError as error:
            raise PictureError(f"{printable(path)}: could not be written ({reason(error)}); free some space") from error

    def _picture(self, id: str, ending: str = ".png") -> Path:
        return self.folder / "pictures" / f"{id}{ending}"

    def _stored(self) -> list[StoredPicture]:
        records = []
        for path in (self.folder / "pictures").glob("*.json"):
            table = self._read_table(path)
            if table is None:
                continue
            try:
                stored = StoredPicture(**{**table, "id": path.stem, "notes": tuple(map(str, table["notes"]))})
                sides = (stored.height, stored.width)
                if not (
                    isinstance(stored.name, str)
                    and all(type(side) is int and 0 < side <= MOST_PIXELS for side in sides)
                ):
                    raise ValueError("no name or no size")
            except (TypeError, KeyError, ValueError):
                self.set_aside(path)
            else:
                records.append(stored)
        return records

    def _room(self) -> str:
        """Return the secret first part of every address; it is stored, so that addresses stay valid after a restart."""
        file = self.folder / "room"
        if file.exists():
            if _ROOM.fullmatch(text := file.read_bytes()):
                return text.decode("ascii")
            self.set_aside(file)
        room = secrets.token_urlsafe(9)
        write_whole(file, room.encode())
        return room
