"""Checkpoints: what a run needs to go on exactly where it was, in a folder, whole at any moment."""

from impasto.checkpoints.folder import Folder, Saved
from impasto.checkpoints.keeper import Checkpoints, Keeper
from impasto.checkpoints.snapshot import Snapshot

__all__ = ["Checkpoints", "Folder", "Keeper", "Saved", "Snapshot"]
