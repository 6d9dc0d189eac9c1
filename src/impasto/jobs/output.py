"""Where a painted picture goes, in what form, and what is written of it on the way."""

import contextlib
import glob
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from impasto.errors import OutputError, PictureError
from impasto.picture import Picture, check_output, output_profile
from impasto.system import ownership
from impasto.system.text import printable, reason

# In place of a path: standard input or output.
STREAM: Final = "-"


@dataclass(frozen=True)
class Output:
    """Where pictures go, and in what form."""

    path: str
    bits: int = 8
    quality: int | None = None
    preview: str | None = None
    save_every: int | None = None
    metadata: bool = True
    compression: str | None = None
    profile: str | None = None
    proof: str | None = None

    def check(self, inputs: list[str], *, force: bool) -> None:
        """Refuse a path that cannot be written to, before minutes are spent."""
        files = [Path(path) for path in inputs if path != STREAM]
        if self.path != STREAM:
            check_output(
                self.path,
                files,
                force=force,
                bits=self.bits,
                quality=self.quality,
                compression=self.compression,
                profile=None if self.profile is None else output_profile(self.profile),
            )
        if self.proof is not None:
            output_profile(self.proof)
            check_output(self.proof_path, files, force=force)
        if self.preview is not None:
            # Later it is replaced again and again, but only what this run wrote.
            check_output(self.preview, files, force=force)
        if not force and (earlier := self.stages()):
            raise OutputError(f"{printable(earlier[0])}: exists already, and --save-every may replace it; add --force")

    def write(self, picture: Picture) -> tuple[str, ...]:
        """Write the result; return notes for the person.

        Raises:
            PictureError: it could not be written; the message names the temporary file that holds it instead, or says
                why there is none.

        """
        target: str | BinaryIO = sys.stdout.buffer if self.path == STREAM else self.path
        try:
            notes = self._save(picture, target)
        except PictureError as error:
            # Minutes of work must not be lost to a full disk or a deleted folder.
            raise PictureError(f"{error}; {self._save_elsewhere(picture)}") from error
        if self.proof is None:
            return notes
        path = self.proof_path
        try:
            proof_notes = picture.proof(self.proof).save(path, bits=self.bits, metadata=self.metadata)
        except PictureError as error:
            raise PictureError(f"{error}; the picture itself is in {printable(self.path)}") from error
        return (*notes, *proof_notes, f"the proof is in {printable(path)}")

    def _save(self, picture: Picture, target: str | Path | BinaryIO) -> tuple[str, ...]:
        return picture.save(
            target,
            bits=self.bits,
            quality=self.quality,
            metadata=self.metadata,
            compression=self.compression,
            profile=self.profile,
        )

    def _save_elsewhere(self, picture: Picture) -> str:
        """Write the picture into a folder for temporary files, and say where it is, or why it is not there."""
        folder = None
        try:
            folder = Path(tempfile.mkdtemp(prefix="impasto-"))
            picture.save(folder / "picture.png", bits=self.bits, metadata=self.metadata)
        except (OSError, PictureError) as error:
            if folder is not None:
                with contextlib.suppress(OSError):
                    ownership.remove_empty_folder(folder)
            place = "the folder for temporary files" if folder is None else printable(folder.parent)
            return f"nor could it be written to {place} ({reason(error.__cause__ or error)}), so no picture is saved"
        return f"the picture is in {folder / 'picture.png'}"

    def save_stage(self, picture: Picture, number: int) -> None:
        """Write the picture there is after `number` steps."""
        self._save(picture, self.stage(number))

    def stages(self) -> list[Path]:
        """Return the pictures that there are of earlier steps, if such are written."""
        if not self.save_every:
            return []
        path = Path(self.path)
        return sorted(path.parent.glob(f"{glob.escape(path.stem)}-{'[0-9]' * 5}{glob.escape(path.suffix)}"))

    @property
    def proof_path(self) -> Path:
        """The path of the soft proof: `out.proof.png`."""
        path = Path(self.path)
        return path.with_name(f"{path.stem}.proof.png")

    def stage(self, number: int) -> Path:
        """Return the path of the picture saved after `number` steps: `out-00050.png`."""
        path = Path(self.path)
        return path.with_name(f"{path.stem}-{number:05d}{path.suffix}")


@dataclass
class Stages:
    """Writes previews and intermediate pictures as a run goes.

    Attributes:
        output: where the picture goes.
        notes: the first preview that could not be written, for the person.

    """

    PREVIEW_INTERVAL = 2.0  # seconds: often enough for a viewer that watches the file

    output: Output
    _count: int = 0  # steps so far
    _next_preview: float = field(default=0.0)
    notes: list[str] = field(default_factory=list)

    def show(self, picture: Callable[[], Picture]) -> None:
        """Write what is due after a step."""
        self._count += 1
        every = self.output.save_every
        # A viewer may have a file open, which keeps it from being replaced on Windows, or the disk may be full. The
        # picture matters more.
        try:
            if every and self._count % every == 0:
                self.output.save_stage(picture(), self._count)
            if self.output.preview and time.monotonic() >= self._next_preview:
                self._next_preview = time.monotonic() + self.PREVIEW_INTERVAL
                picture().save(self.output.preview, metadata=self.output.metadata)
        except PictureError as error:
            if not self.notes:
                self.notes.append(f"{error}; pictures of some steps are missing")
