"""A sweep: one photo and its styles, painted with every combination of some settings."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import OutputError, UsageError, WeightsError
from impasto.jobs.functions import StyleSources
from impasto.jobs.job import Job
from impasto.picture import Picture, PictureSource, as_picture
from impasto.recipe import INITS, Compute, Inputs, Precision, Recipe, presets
from impasto.sheets import Board, Layout, cell_side, lay_out_table
from impasto.sweeps.cells import Cell, file_name, fingerprint
from impasto.sweeps.variations import RECIPE, STYLE_WEIGHTS, Choice, Variation, choices, hyphenate, recipe_with
from impasto.system.tables import Table
from impasto.system.text import printable, reason
from impasto.vgg.weights.spec import find
from impasto.vgg.weights.store import entry


@dataclass(frozen=True)
class Sweep:
    """Pictures for every combination of some settings, painted one after another when asked for.

    Iterating gives `(settings, picture)`, row by row as on the sheet; `settings` holds the value of everything that
    varies, by name. If `cells` names a folder, finished pictures are kept there, and read from there the next time.

    Attributes:
        variations: what varies: the first across, the second down, each further one from table to table.
        cells: the pictures, in the order of the sheet.

    """

    variations: tuple[Variation, ...]
    cells: tuple[Cell, ...]

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[tuple[Table, Picture]]:
        """Paint the cells, or read those painted before.

        Raises:
            ImpastoError: as `Job.paint`; an `OutputError` where the folder of the cells cannot be made.

        """
        self.make_folder()
        for cell in self.cells:
            yield cell.settings, cell.picture()

    def sheet(self, cell: int | None = None) -> Picture:
        """Paint the cells that are missing, and return all of them on a labelled sheet.

        Args:
            cell: long side of the largest cell on the sheet in pixels, 16 to 4096; its own, at most 512, if left out.

        Raises:
            ImpastoError: as iterating; a `UsageError` where `cell` is out of range or the sheet too large.

        """
        board = self.board(cell)
        for index, (_, picture) in enumerate(self):
            board.put(index, picture)
        return board.picture()

    def board(self, cell: int | None = None) -> Board:
        """Return the sheet with no picture on it yet; arguments and errors as for `sheet`."""
        return Board(self.layout(cell))

    def layout(self, cell: int | None = None) -> Layout:
        """Return the layout of the sheet; arguments and errors as for `sheet`."""
        sizes = [entry.scales[-1][:2] for entry in self.cells]
        largest = max(map(max, sizes))
        factor = cell_side(cell, largest) / largest
        height, width = (max(1, round(max(size[axis] for size in sizes) * factor)) for axis in (0, 1))
        across, *rest = self.variations
        down = rest[0].axis if rest else None
        blocks = len(self) // len(across.values) // (len(down.heads) if down else 1)
        stride = len(self) // blocks
        captions = [", ".join(map(str, entry.choices[2:])) for entry in self.cells[::stride]] if rest[1:] else []
        # With four variations or more, the tables that share a value of the last one stand in one row.
        columns = len(self.variations[-1].values) if len(self.variations) > 3 else None
        return lay_out_table(across.axis, down, captions, height, width, columns)

    def make_folder(self) -> None:
        """Make the folder of the cells, if there is one.

        Raises:
            OutputError: it cannot be made.

        """
        for folder in {cell.file.parent for cell in self.cells if cell.file}:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{printable(folder)}: cannot be the folder of the cells ({reason(error)}); choose another"
                ) from error


def sweep(
    content: PictureSource,
    style: StyleSources,
    vary: Mapping[str, Sequence[Any]],
    *,
    recipe: Recipe | str | Path = "default",
    cells: str | os.PathLike[str] | None = None,
    init: PictureSource | None = None,
    device: str = "auto",
    max_memory: int | str | None = None,
    precision: Precision = "auto",
    content_mask: PictureSource | None = None,
    protect: PictureSource | None = None,
    **changes: object,
) -> Sweep:
    """Return a sweep: `content` in the style of `style`, once for every combination of the values in `vary`.

        for settings, picture in impasto.sweep("photo.jpg", "painting.jpg", {"content_weight": [0.03, 0.1, 0.3]}):
            picture.save(f"{settings['content_weight']}.png")

    Everything is checked here; the pictures are painted one after another when the sweep is gone through.

    Args:
        content: the photo, in any of the forms that `stylize` takes.
        style: the style picture or a list of them, plain or as a `Style`.
        vary: lists of values by the name of a setting: a field of the recipe such as `content_weight`, a dotted name
            such as `optimizer.history`, `recipe`, or `style_weights` (each value one weight for every style). At most
            2500 combinations.
        recipe: what is the same everywhere; see `stylize`.
        cells: a folder that keeps finished pictures as 8-bit PNG, made if its parent is there. A picture is read from
            there instead of being painted where photo, styles, recipe and version of impasto are the same. None keeps
            nothing: going through the sweep again paints again.
        init: as in `stylize`.
        device: as in `stylize`.
        max_memory: as in `stylize`.
        precision: as in `stylize`.
        content_mask: as in `stylize`.
        protect: as in `stylize`.
        **changes: values for the recipe's fields, the same everywhere.

    Raises:
        UsageError: nothing varied, something varied that is no setting or is given as well, or what `stylize` raises.
        ImpastoError: as `Job.start`, for any of the cells.

    """
    resolved = presets.resolve(recipe)
    if isinstance(init, str) and init in INITS:
        changes["init"], init = init, None
    inputs = Inputs.of(content, style, start=init, content_mask=content_mask, protect=protect)
    has_weights = any(one.weight != 1 for one in inputs.styles)
    for name in (*changes, *([STYLE_WEIGHTS] if has_weights else [])):
        if name in vary:
            raise UsageError(f"{hyphenate(name)} is given and varied; leave one out")
    if RECIPE in vary and not isinstance(vary[RECIPE], str):
        recipes = [(presets.resolve(recipe_name), recipe_name) for recipe_name in vary[RECIPE]]
        values = [varied.replace(**changes) for varied, _ in recipes]
        by_recipe = Variation(RECIPE, values, [_name(recipe_name) for _, recipe_name in recipes])
        variations = [by_recipe if name == RECIPE else Variation(name, given) for name, given in vary.items()]
    else:
        variations = [Variation(name, given) for name, given in vary.items()]
    job = Job(inputs, resolved.replace(**changes), Compute(device, max_memory, precision))
    return make_sweep(job, variations, cells)


def make_sweep(
    job: Job, variations: Sequence[Variation], folder: str | os.PathLike[str] | None = None, bits: int = 8
) -> Sweep:
    """Return the sweep that starts from `job`; see `sweep`.

    Args:
        job: what is the same everywhere.
        variations: what is not. A varied recipe takes the place of the job's.
        folder: keeps finished pictures.
        bits: 8 or 16, the depth in which it does.

    """
    combinations = list(choices(variations))
    # Read once, whatever their number of cells.
    inputs = job.inputs.map(as_picture)
    job = dataclasses.replace(job, inputs=inputs)
    single = [inputs.photo, inputs.start, inputs.content_mask, inputs.protect]
    pictures = [*single, *(style.picture for style in inputs.styles), *inputs.style_masks]
    fingerprints = [None if picture is None else fingerprint(picture) for picture in pictures]
    make = functools.partial(_cell, job, fingerprints, None if folder is None else Path(folder), bits)
    return Sweep(tuple(variations), tuple(make(values) for values in combinations))


def _cell(
    job: Job, fingerprints: Sequence[str | None], folder: Path | None, bits: int, combination: tuple[Choice, ...]
) -> Cell:
    """Return a cell that has been checked: it can be painted."""
    values = {choice.name: choice.value for choice in combination}
    recipe = presets.resolve(values.pop(RECIPE, job.recipe))
    weights = values.pop(STYLE_WEIGHTS, None)
    inputs = job.inputs if weights is None else job.inputs.with_weights(weights)
    job = dataclasses.replace(job, inputs=inputs, recipe=recipe_with(recipe, values))
    _check(job)
    file = None if folder is None else folder / file_name(combination, job, fingerprints, bits)
    return Cell(combination, job, file, bits)


def _check(job: Job) -> None:
    """Make sure, as far as can be without painting, that a job can be done.

    Raises:
        ImpastoError: as `Job.start`, too little memory, or weights that are not on this machine.

    """
    run = job.start()
    _ = run.plans  # refuses what does not fit into memory
    spec = find(run.recipe.network)
    if not spec.embedded and entry(spec.name) is None:
        raise WeightsError(spec.not_here())


def _name(recipe: Recipe | str | Path) -> str:
    return recipe.name if isinstance(recipe, Recipe) else Path(recipe).name
