"""One picture to paint, as plain data: what crosses from one process or machine to another."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from impasto import __version__
from impasto.executors import storage
from impasto.jobs import checkpoint_paths
from impasto.jobs.output import Output
from impasto.picture import PictureSource
from impasto.recipe import AUTOMATIC, Compute, Inputs, Recipe, Style
from impasto.system.digests import file_digest
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import reason

if TYPE_CHECKING:
    from impasto.jobs.job import Job


@dataclass(frozen=True)
class Task:
    """One picture to paint, as `impasto stylize` would; every picture is a path.

    Attributes:
        inputs: the paths of all input pictures.
        recipe: with all changes made.
        output: where the picture goes and in what form; with `url`, a file that is then uploaded.
        number: of the task in its batch; 1 is the first.
        compute: device, memory and precision; an executor may choose another device.
        checkpoint: `auto`, `off` or a folder.
        force: whether existing files may be replaced.
        every: seconds between two checkpoints; None for the default of `impasto.Checkpoints`.
        over: seconds; with `auto`, runs expected to take longer keep checkpoints.
        digests: SHA-256 by path, of the input files that could be read.
        attempt: number of workers that died painting it.
        url: of the finished picture, if it goes to a store; see `storage`.

    """

    inputs: Inputs[str]
    recipe: Recipe
    output: Output
    number: int = 1
    compute: Compute = AUTOMATIC
    checkpoint: str = "auto"
    force: bool = False
    every: float | None = None
    over: float = checkpoint_paths.LONG
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    attempt: int = 0
    url: str | None = None

    @property
    def place(self) -> str:
        """Where the picture goes, as messages and logs have it."""
        return self.output.path if self.url is None else storage.without_password(self.url)

    @property
    def side_files(self) -> list[str]:
        """What is written beside the picture: proof, preview, and of the pictures on the way the one of step 0."""
        output = self.output
        stages = [os.fspath(output.stage(0))] if output.save_every is not None else []
        proofs = [os.fspath(output.proof_path)] if output.proof is not None else []
        return [*proofs, *([output.preview] if output.preview is not None else []), *stages]

    @property
    def folder(self) -> str | None:
        """Where its checkpoints are; None where none are kept."""
        if self.checkpoint == "off":
            return None
        return checkpoint_paths.default_folder(self.output) if self.checkpoint == "auto" else self.checkpoint

    @cached_property
    def identity(self) -> str | None:
        """SHA-256 of all that determines the output: inputs, recipe, version, form; None while an input is unreadable.

        Not of the device, on which only the last digits depend.
        """
        if any(path not in self.digests for path in self.inputs.sources):
            return None
        form = dataclasses.asdict(self.output)
        for name in ("path", "preview", "save_every"):
            del form[name]
        try:
            for name in ("profile", "proof"):
                form[name] = form[name] and file_digest(form[name])
        except OSError as error:
            form["profile"] = reason(error)
        by_style = [self.inputs.weights, self.inputs.style_scales, self.inputs.style_parts]
        parts = [__version__, self.recipe.digest, self._input_digests, *by_style, self.compute.precision, form]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def _input_digests(self) -> list[str | list[str | None] | None]:
        """The digests of the pictures, each at its place."""

        def digest(path: str | None) -> str | None:
            return self.digests.get(path) if path else None

        inputs = self.inputs
        single = [digest(path) for path in (inputs.photo, inputs.start, inputs.content_mask, inputs.protect)]
        styles = [digest(style.picture) for style in inputs.styles]
        return [*single, styles, [digest(mask) for mask in inputs.style_masks]]

    def job(self, source: Callable[[str], PictureSource] = str) -> "Job":
        """Return the job; `source` opens the picture at a path."""
        from impasto.jobs.job import Job

        return Job(self.inputs.map(source), self.recipe, self.compute)

    def on(self, device: str) -> "Task":
        """Return the task computed on another device."""
        return dataclasses.replace(self, compute=dataclasses.replace(self.compute, device=device))

    def absolute(self) -> "Task":
        """Return the task with all its paths from the root."""

        def whole(path: str | None) -> str | None:
            return None if path is None else os.path.abspath(path)  # noqa: PTH100

        output = {name: whole(getattr(self.output, name)) for name in ("path", "preview", "profile", "proof")}
        return dataclasses.replace(
            self,
            inputs=self.inputs.map(os.path.abspath),
            output=dataclasses.replace(self.output, **output),  # type: ignore[arg-type]
            checkpoint=self.checkpoint if self.checkpoint in ("auto", "off") else os.path.abspath(self.checkpoint),  # noqa: PTH100
            digests={os.path.abspath(path): digest for path, digest in self.digests.items()},  # noqa: PTH100
        )

    def to_table(self) -> Table:
        """Return the task as plain values, as JSON holds them."""
        table = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        records = {name: dataclasses.asdict(table[name]) for name in ("inputs", "output", "compute")}
        return table | records | {"recipe": self.recipe.to_table()}

    @classmethod
    def from_table(cls, table: ReadOnlyTable) -> "Task":
        """Make a task of what `to_table` returned."""
        inputs = table["inputs"]
        records = {
            "inputs": Inputs(**{**inputs, "styles": tuple(Style(**style) for style in inputs["styles"])}),
            "recipe": Recipe.from_table(table["recipe"]),
            "output": Output(**table["output"]),
            "compute": Compute(**table["compute"]),
        }
        return cls(**{**table, **records})
