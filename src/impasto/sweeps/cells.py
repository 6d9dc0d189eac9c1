"""One cell of a sweep: its job, and the file that keeps its picture."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from impasto import __version__
from impasto.errors import PictureError
from impasto.jobs.job import Job
from impasto.picture import Picture, read_picture
from impasto.recipe import Recipe, normalize_weights, schedule
from impasto.recipe.schedule import Scale
from impasto.sweeps.variations import Choice
from impasto.system.tables import Table

# Ours: 64 bits, so that no two names are equal by chance, and names stay readable.
_DIGEST_LENGTH = 16
_NAME_LENGTH = 80


@dataclass(frozen=True)
class Cell:
    """A picture of a sweep.

    Attributes:
        choices: the value of each variation.
        job: of the picture, with its pictures read and its recipe resolved.
        file: that keeps the picture; None to keep it nowhere.
        bits: depth of that file.

    """

    choices: tuple[Choice, ...]
    job: Job
    file: Path | None
    bits: int = 8

    @property
    def settings(self) -> Table:
        """The chosen values by name."""
        return {choice.name: choice.value for choice in self.choices}

    @property
    def title(self) -> str:
        """The chosen values in words: `content-weight 0.1, style-scale 2`."""
        return ", ".join(map(str, self.choices))

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The sizes and steps of its run, coarsest first."""
        photo, recipe = self.job.inputs.photo, self.job.recipe
        assert isinstance(photo, Picture)
        assert isinstance(recipe, Recipe)
        return schedule.scales(photo.height, photo.width, recipe)

    def load(self) -> Picture | None:
        """Return the picture if it was painted before; None if not, or if its file is damaged."""
        if self.file is None:
            return None
        try:
            picture = read_picture(self.file)
        except PictureError:
            return None
        return picture if picture.size == self.scales[-1][:2] else None

    def save(self, picture: Picture) -> Picture:
        """Write the picture, whole or not at all, and return it as read back from the file.

        Raises:
            PictureError: it cannot be written.

        """
        if self.file is None:
            return picture
        picture.save(self.file, bits=self.bits)
        return read_picture(self.file)

    def picture(self) -> Picture:
        """Return the picture if it was painted before, or paint and save it.

        Raises:
            ImpastoError: as `Job.paint`.

        """
        return self.load() or self.save(self.job.paint())


def fingerprint(picture: Picture) -> str:
    """Return the SHA-256 of all in a picture that a run uses: pixels, size, alpha, resolution."""
    digest = hashlib.sha256(json.dumps([picture.size, picture.dpi, picture.alpha is not None]).encode())
    for plane in (picture.pixels, picture.alpha):
        if plane is not None:
            digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def file_name(choices: Sequence[Choice], job: Job, fingerprints: Sequence[str | None], bits: int) -> str:
    """Return the name of a cell's file: its choices in words, and a digest of all that determines the picture.

    Args:
        choices: for the words.
        job: whose inputs and recipe count; its device and memory do not.
        fingerprints: of the job's pictures, in order; None for a missing one.
        bits: depth of the file.

    """
    assert isinstance(job.recipe, Recipe)
    weights = [style.weight for style in normalize_weights(job.inputs.styles, is_needed=False)]
    by_style = [weights, list(job.inputs.style_scales), list(job.inputs.style_parts)]
    parts = [__version__, job.recipe.digest, fingerprints, by_style, job.compute.precision, bits]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST_LENGTH]
    words = re.sub(r"[^a-z0-9._]+", "-", "_".join(map(str, choices)).lower()).strip("-._")
    return f"{words[:_NAME_LENGTH]}-{digest}.png"
