"""Checkpoints: the whole state of a run in a folder, from which it continues exactly; valid at any moment."""

from impasto.engine.checkpoints.folder import Folder, SavedRun
from impasto.engine.checkpoints.snapshot import Snapshot
from impasto.engine.checkpoints.writer import Checkpoints, CheckpointWriter

__all__ = ["CheckpointWriter", "Checkpoints", "Folder", "SavedRun", "Snapshot"]
