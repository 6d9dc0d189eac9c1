"""Which of the files that a batch finds are its own: what it painted when it was started before is no photo of it."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from impasto.batches.inputs import ENDINGS
from impasto.batches.log import BatchLog
from impasto.batches.templates import file_identity, stage_identity, without_step_number
from impasto.errors import PictureError
from impasto.executors.task import Task
from impasto.jobs import checkpoint_paths
from impasto.picture import remembered
from impasto.recipe.provenance import plain_name

# What a folder of checkpoints holds, by `impasto.engine.checkpoints.folder`.
_CHECKPOINT: Final = re.compile(r"lock|checkpoint-\d{6,12}\.(json|safetensors)")


class OwnFiles:
    """Tells the files of a batch from its inputs.

    Args:
        tasks: of the batch, of all that was found.
        ledger: its log.
        force: whether files are replaced without a question; then the name of a file alone proves nothing.

    """

    def __init__(self, tasks: Sequence[Task], ledger: BatchLog, *, force: bool) -> None:
        self._ledger = ledger
        self._force = force
        self._outputs: dict[str, list[Task]] = {}
        for task in tasks:
            self._outputs.setdefault(file_identity(task.place), []).append(task)
        written = [*(task.place for task in tasks), *(path for task in tasks for path in task.side_files)]
        self._beside = {file_identity(path) for task in tasks for path in task.side_files}
        self._folders = {file_identity(os.path.dirname(path)) for path in dict.fromkeys(written)}  # noqa: PTH120
        self._checkpoints = {file_identity(task.folder) for task in tasks if task.folder is not None}
        self._photos = {plain_name(task.inputs.photo) for task in tasks}
        self._styles = {plain_name(style.picture) for task in tasks for style in task.inputs.styles}

    def among(self, found: Mapping[str, bool]) -> set[str]:
        """Return those of some paths that are the batch's own.

        Args:
            found: whether each path was found in a folder or by a glob, and not named.

        """
        return {path for path, is_search in found.items() if self._is_own(path, is_search=is_search)}

    def _is_own(self, path: str, *, is_search: bool) -> bool:
        place, folder = file_identity(path), os.path.dirname(path)  # noqa: PTH120
        if is_search and self._is_bookkeeping(path, folder):
            return True
        makers = self._outputs.get(place, [])
        # An output that is the input of its own task is refused later.
        is_output = any(place not in map(file_identity, task.inputs.sources) for task in makers)
        if is_output and not self._force:
            # If somebody else's file has this name, the batch is refused: see `impasto.batches.batch`.
            return True
        if file_identity(folder) not in self._folders:
            return False
        is_beside = is_search or stage_identity(path) in self._beside or place in self._beside
        if is_beside and any(self._is_logged_beside(each) for each in (path, without_step_number(path))):
            return True
        # What has the name of its own photo is no proof: it is a photo too where somebody goes on from the pictures of
        # another batch.
        photos = self._photos if is_output else self._photos - {plain_name(path)}
        content, styles = self._made_of(path)
        return content in photos and (is_search or styles <= self._styles)

    def _is_bookkeeping(self, path: str, folder: str) -> bool:
        in_checkpoint = file_identity(folder) in self._checkpoints and _CHECKPOINT.fullmatch(Path(path).name)
        # A log that would be written into a picture is refused later.
        is_log = self._ledger.is_log(path) and Path(path).suffix.lower() not in ENDINGS
        return bool(in_checkpoint) or folder.endswith(checkpoint_paths.ENDING) or is_log

    def _is_logged_beside(self, path: str) -> bool:
        entry = self._ledger.entry(path)
        return entry is not None and entry.status == "beside"

    def _made_of(self, path: str) -> tuple[str, set[str]]:
        """Return the names of the photo and of the styles of a picture, by the log or by the picture itself.

        Names, so that a photo may have been moved or changed since.
        """
        entry = self._ledger.entry(path)
        if entry is not None and entry.status == "painted" and entry.is_of(Path(path)):
            return plain_name(entry.content), set(map(plain_name, entry.styles))
        try:
            memory = remembered(path)
        except PictureError:
            return "", set()
        return ("" if memory.content is None else memory.content.name), {style.name for style in memory.styles}
