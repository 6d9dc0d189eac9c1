"""One picture to paint, as plain data: what crosses from one process or machine to another."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from impasto import __version__
from impasto.executors import storage
from impasto.jobs import checkpoint_paths
from impasto.jobs.output import Output
from impasto.recipe import Recipe
from impasto.system.text import reason

if TYPE_CHECKING:
    from impasto.jobs.job import Job

_INPUTS: Final = ("content", "init", "content_mask", "protect")


@dataclass(frozen=True)
class Task:
    """What `impasto stylize` is asked for, every picture a path.

    Attributes:
        content: the photo.
        styles: the style pictures.
        recipe: with everything that was changed in it.
        output: where the picture goes, and in what form; with `url`, where it is made.
        number: of the task among others; 1 is the first.
        weights: as `Job` has them, like all that follow up to `precision`; masks are paths, None for none.
        init: a picture to start from.
        content_mask: a picture.
        style_masks: pictures.
        protect: a picture.
        style_scales: numbers.
        style_parts: texts.
        device: where it is painted; an executor may choose another.
        max_memory: bytes.
        precision: of the features.
        checkpoint: `auto`, `off` or a folder.
        force: whether what is there already may be replaced.
        every: seconds from one checkpoint to the next; those of `impasto.Checkpoints` if left out.
        over: seconds; `auto` keeps checkpoints of runs that are expected to take longer.
        digests: SHA-256 of the files that are read, by path; of those that could be.
        attempt: how often it was begun before by workers that died.
        url: where the picture goes when it is finished, if not to a path; see `remote`.

    """

    content: str
    styles: tuple[str, ...]
    recipe: Recipe
    output: Output
    number: int = 1
    weights: tuple[float, ...] | None = None
    init: str | None = None
    content_mask: str | None = None
    style_masks: tuple[str | None, ...] = ()
    protect: str | None = None
    style_scales: tuple[float, ...] = ()
    style_parts: tuple[str, ...] = ()
    device: str = "auto"
    max_memory: int | None = None
    precision: str = "auto"
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
        return self.output.path if self.url is None else storage.plain(self.url)

    @property
    def inputs(self) -> list[str]:
        """The paths of all pictures that are read."""
        named = [self.content, *self.styles, self.init, self.content_mask, *self.style_masks, self.protect]
        return [path for path in named if path is not None]

    @property
    def folder(self) -> str | None:
        """Where its checkpoints are; None where none are kept."""
        if self.checkpoint == "off":
            return None
        return checkpoint_paths.default_folder(self.output) if self.checkpoint == "auto" else self.checkpoint

    @cached_property
    def identity(self) -> str | None:
        """SHA-256 of all that the output follows from: inputs, recipe, version, form. None while an input is unknown.

        The device is not in it: on another one only the last digits differ.
        """
        if any(path not in self.digests for path in self.inputs):
            return None
        form = dataclasses.asdict(self.output)
        for name in ("path", "preview", "save_every"):
            del form[name]
        try:
            for name in ("profile", "proof"):
                form[name] = form[name] and hashlib.sha256(Path(form[name]).read_bytes()).hexdigest()
        except OSError as error:
            form["profile"] = reason(error)
        parts = [__version__, self.recipe.digest, self._read, self.weights, self.style_scales, self.style_parts]
        return hashlib.sha256(json.dumps([*parts, self.precision, form], sort_keys=True).encode()).hexdigest()

    @property
    def _read(self) -> list[Any]:
        """The digests of what is read, each at its place."""
        single = [self.digests.get(path) if path else None for path in (getattr(self, name) for name in _INPUTS)]
        listed = [[self.digests.get(path) if path else None for path in paths]
                  for paths in (self.styles, self.style_masks)]  # fmt: skip
        return [*single, *listed]

    def job(self, source: Callable[[str], Any] = str) -> "Job":
        """Return the job; `source` opens what a path names."""
        from impasto.jobs.job import Job

        def opened(path: str | None) -> Any:
            return None if path is None else source(path)

        return Job(
            source(self.content),
            [source(style) for style in self.styles],
            self.recipe,
            self.weights,
            self.init,
            self.device,
            self.max_memory,
            self.precision,  # type: ignore[arg-type]
            opened(self.content_mask),
            [opened(mask) for mask in self.style_masks],
            opened(self.protect),
            self.style_scales,
            self.style_parts,  # type: ignore[arg-type]
        )

    def absolute(self) -> "Task":
        """Return the task with all its paths from the root."""

        def whole(path: str | None) -> str | None:
            return None if path is None else os.path.abspath(path)  # noqa: PTH100

        output = {name: whole(getattr(self.output, name)) for name in ("path", "preview", "profile", "proof")}
        named = {name: whole(getattr(self, name)) for name in _INPUTS}
        return dataclasses.replace(
            self,
            **named,  # type: ignore[arg-type]
            styles=tuple(map(os.path.abspath, self.styles)),
            style_masks=tuple(map(whole, self.style_masks)),
            output=dataclasses.replace(self.output, **output),  # type: ignore[arg-type]
            checkpoint=self.checkpoint if self.checkpoint in ("auto", "off") else os.path.abspath(self.checkpoint),  # noqa: PTH100
            digests={os.path.abspath(path): digest for path, digest in self.digests.items()},  # noqa: PTH100
        )

    def to_table(self) -> dict[str, Any]:
        """Return the task as plain values, as JSON holds them."""
        table = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        table |= {"recipe": self.recipe.to_table(), "output": dataclasses.asdict(self.output)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in table.items()}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Task":
        """Make a task of what `to_table` returned."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
        }
        values["recipe"], values["output"] = Recipe.from_table(table["recipe"]), Output(**table["output"])
        return cls(**values)
