"""The server's storage: pictures, jobs, and the secret part of its address. Only names made here become paths."""

import contextlib
import dataclasses
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from impasto.errors import ImpastoError, OutputError, PictureError, UsageError
from impasto.picture import DEFAULT_LIMITS, Picture, as_picture, read_picture
from impasto.recipe.provenance import plain_name
from impasto.system import ownership
from impasto.system.atomic import write_whole
from impasto.system.locks import try_lock
from impasto.system.tables import Table
from impasto.system.text import printable, reason
from impasto.web import thumbnails

# Ours: an uncompressed 16-bit TIFF of 24 million pixels takes 144 MB, a phone's JPEG 5.
MOST_UPLOAD: Final = 150 * 1024**2
LIMITS: Final = dataclasses.replace(DEFAULT_LIMITS, max_file_bytes=MOST_UPLOAD)
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
        try:
            for path in (folder, folder / "pictures", folder / "jobs"):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            picture = as_picture(data, limits=LIMITS)
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
            # An unreadable record is of another version, or of a job whose folder was just being made.
            with contextlib.suppress(OSError, ValueError):
                tasks.append((path.name, json.loads((path / "job.json").read_bytes())))
        return tasks

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
            with contextlib.suppress(OSError, ValueError, TypeError, ImpastoError):
                table = json.loads(path.read_bytes())
                records.append(StoredPicture(**{**table, "id": path.stem, "notes": tuple(table["notes"])}))
        return records

    def _room(self) -> str:
        """Return the secret first part of every address; it is stored, so that addresses stay valid after a restart."""
        file = self.folder / "room"
        if not file.exists():
            write_whole(file, secrets.token_urlsafe(9).encode())
        return file.read_text("ascii").strip()
