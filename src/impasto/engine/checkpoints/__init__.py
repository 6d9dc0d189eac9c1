"""Checkpoints: what a run needs to go on exactly where it was, in a folder, whole at any moment."""

from impasto.engine.checkpoints.folder import Folder, SavedRun
from impasto.engine.checkpoints.snapshot import Snapshot
from impasto.engine.checkpoints.writer import Checkpoints, CheckpointWriter

__all__ = ["CheckpointWriter", "Checkpoints", "Folder", "SavedRun", "Snapshot"]
