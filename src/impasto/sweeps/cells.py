"""One cell of a sweep: what is painted there, and the file that keeps it."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from impasto import __version__
from impasto.errors import PictureError
from impasto.jobs.job import Job
from impasto.picture import Picture, read_picture
from impasto.recipe import Recipe, normalize_weights, schedule
from impasto.recipe.schedule import Scale
from impasto.sweeps.variations import Choice

# Ours: of 2^64 names no two are the same by chance, and a file's name stays readable.
_DIGEST_LENGTH = 16
_NAME_LENGTH = 80


@dataclass(frozen=True)
class Cell:
    """A picture of a sweep.

    Attributes:
        choices: what was chosen here for each variation.
        job: paints it; its pictures have been read, and its recipe is one.
        file: where it is kept; None to keep it nowhere.
        bits: depth of that file.

    """

    choices: tuple[Choice, ...]
    job: Job
    file: Path | None
    bits: int = 8

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen, by name."""
        return {choice.name: choice.value for choice in self.choices}

    @property
    def title(self) -> str:
        """What was chosen, in words: `content-weight 0.1, style-scale 2`."""
        return ", ".join(map(str, self.choices))

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The sizes and steps of its run, coarsest first; the last one is its own."""
        photo, recipe = self.job.inputs.photo, self.job.recipe
        assert isinstance(photo, Picture)
        assert isinstance(recipe, Recipe)
        return schedule.scales(photo.height, photo.width, recipe)

    def load(self) -> Picture | None:
        """Return what was painted before; None where it was not, or where its file is damaged."""
        if self.file is None:
            return None
        try:
            picture = read_picture(self.file)
        except PictureError:
            return None
        return picture if picture.size == self.scales[-1][:2] else None

    def save(self, picture: Picture) -> Picture:
        """Write what was painted, whole or not at all, and return it as the next reader will find it.

        Raises:
            PictureError: it cannot be written.

        """
        if self.file is None:
            return picture
        picture.save(self.file, bits=self.bits)
        return read_picture(self.file)

    def picture(self) -> Picture:
        """Return what was painted before, or paint and keep it.

        Raises:
            ImpastoError: as `Job.paint`.

        """
        return self.load() or self.save(self.job.paint())


def fingerprint(picture: Picture) -> str:
    """Return the SHA-256 of all in a picture that a run looks at or hands on."""
    digest = hashlib.sha256(json.dumps([picture.size, picture.dpi, picture.alpha is not None]).encode())
    for plane in (picture.pixels, picture.alpha):
        if plane is not None:
            digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def file_name(choices: Sequence[Choice], job: Job, fingerprints: Sequence[str | None], bits: int) -> str:
    """Return the name of the file that keeps a cell: what it is in words, and a digest of all that it follows from.

    Args:
        choices: for the words.
        job: with a recipe; all in it counts but its device and memory.
        fingerprints: of the job's pictures, each at its place; None for none.
        bits: depth of the file.

    """
    assert isinstance(job.recipe, Recipe)
    weights = [style.weight for style in normalize_weights(job.inputs.styles, is_needed=False)]
    by_style = [weights, list(job.inputs.style_scales), list(job.inputs.style_parts)]
    parts = [__version__, job.recipe.digest, fingerprints, by_style, job.compute.precision, bits]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST_LENGTH]
    words = re.sub(r"[^a-z0-9._]+", "-", "_".join(map(str, choices)).lower()).strip("-._")
    return f"{words[:_NAME_LENGTH]}-{digest}.png"
