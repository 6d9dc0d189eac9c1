"""From the folder of a checkpoint back to a run: its pictures are found again, and it goes on where it was."""

import dataclasses
import os
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from impasto.engine import devices
from impasto.engine.checkpoints import Folder, SavedRun, Snapshot, document
from impasto.engine.checkpoints.writer import INTERVAL
from impasto.engine.masks import assign
from impasto.engine.own_settings import own_settings
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.errors import CheckpointError, UsageError
from impasto.picture import Picture, PictureSource
from impasto.recipe import INITS, Compute, Inputs, Precision, Recipe, pair_styles
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable, reason
from impasto.vgg import convolutions

# Fields that cannot change on the way: the image has its size, and its start is past.
_SETTLED: Final = ("size", "side", "start_size", "scale_factor", "margin", "init", "seed")


class ReplacedPictures(NamedTuple):
    """The pictures of a run where they are not where they were; each must be the same one."""

    content: PictureSource | None = None
    styles: Sequence[PictureSource] | None = None
    init: PictureSource | None = None
    content_mask: PictureSource | None = None
    style_masks: Sequence[PictureSource | None] | None = None
    protect: PictureSource | None = None


@dataclass(frozen=True)
class ComputeChanges:
    """What a run is computed with from now on, where that differs from before; None where it does not."""

    device: str | None = None
    max_memory: int | str | None = None
    precision: Precision | None = None

    @property
    def affect_plans(self) -> bool:
        """Whether how the scales are computed has to be planned anew for other reasons than the device."""
        return self.max_memory is not None or self.precision is not None

    def apply(self, compute: Compute) -> Compute:
        """Return `compute` with the changes made."""
        changes = {name: value for name, value in vars(self).items() if value is not None}
        return dataclasses.replace(compute, **changes)


def resume(
    folder: str | os.PathLike[str],
    *,
    content: PictureSource | None = None,
    style: PictureSource | Sequence[PictureSource] | None = None,
    init: PictureSource | None = None,
    content_mask: PictureSource | None = None,
    style_masks: Sequence[PictureSource | None] | None = None,
    protect: PictureSource | None = None,
    device: str | None = None,
    max_memory: int | str | None = None,
    precision: Precision | None = None,
    every: float = INTERVAL,
    **changes: Any,
) -> Run:
    """Return the run whose checkpoint is in `folder`; it continues there and writes its checkpoints there.

    On the CPU, with the same number of threads and the same versions, the result is that of an uninterrupted run, bit
    for bit.

    Args:
        folder: given as `checkpoint` to a `Job`, or made by `impasto stylize`.
        content: the photo, if it has moved; it must be unchanged.
        style: the style picture or the list of them, if they have moved.
        init: the start picture, if it has moved.
        content_mask: the content mask, if it has moved.
        style_masks: the masks of the styles, None for a style without one, if they have moved.
        protect: the mask of protected pixels, if it has moved.
        device: another device, as for `Job`.
        max_memory: another limit, as for `Job`.
        precision: another precision.
        every: seconds between two checkpoints.
        **changes: values for the recipe's fields. More `steps` make the run longer; others, such as `content_weight`,
            change the objective from here on.

    Raises:
        CheckpointError: there is no readable checkpoint, an input picture is missing or has changed, or another process
            has locked the folder.
        RecipeError: a change is not valid.
        UsageError: a change would need another size or another start.

    """
    if isinstance(init, str) and init in INITS:
        changes["init"], init = init, None
    checkpoint_folder = Folder(folder, create=False)
    try:
        saved = checkpoint_folder.read()
        recipe = saved.recipe.replace(**changes)
        styles = style if isinstance(style, list | tuple) or style is None else [typing.cast(PictureSource, style)]
        pictures = ReplacedPictures(content, styles, init, content_mask, style_masks, protect)
        run = resume_run(checkpoint_folder, saved, recipe, pictures, ComputeChanges(device, max_memory, precision))
        run.enable_checkpoints(
            checkpoint_folder, options_of(saved), every=every, keep=bool(saved.table["options"]["keep"])
        )
    except BaseException:
        checkpoint_folder.close()
        raise
    return run


def options_of(saved: SavedRun) -> Table:
    """Return what the surface that started a run noted for itself."""
    names = ("device", "max_memory", "precision", "keep", "convolutions")
    return {name: value for name, value in saved.table["options"].items() if name not in names}


@own_settings()
def resume_run(
    folder: Folder,
    saved: SavedRun,
    recipe: Recipe,
    pictures: ReplacedPictures,
    changes: ComputeChanges = ComputeChanges(),
) -> Run:
    """Return the run of a checkpoint that has been read, without a folder for further checkpoints.

    Args:
        folder: of the checkpoint.
        saved: the checkpoint.
        recipe: to continue with.
        pictures: the input pictures that have moved.
        changes: to the device, memory or precision.

    Raises:
        ImpastoError: as `resume`.

    """
    try:
        before = saved.table["options"]
        compute = changes.apply(Compute(before["device"], before["max_memory"], before["precision"]))
        choice = devices.choose(compute.device)
        device, *others = choice.devices
        # The method that the run began with, so that it continues bit for bit; older checkpoints do not name it.
        method = convolutions.available(before.get("convolutions"))
        scene = dataclasses.replace(_scene(folder.path, saved, recipe, pictures), device=device)
        _check_settled(saved.recipe, recipe)
        snapshot = saved.snapshot(device)
        _check_fits(scene, saved, snapshot)
        elsewhere = device.type != before["device"].partition(":")[0]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{printable(folder.path)}: holds what no impasto writes ({reason(error)})") from error
    steered = _step_settings(saved.recipe) != _step_settings(recipe)
    if steered and snapshot.scale == len(scene.scales) - 1 and snapshot.done >= scene.scales[-1].steps:
        raise UsageError(
            f"{printable(folder.path)}: has taken all its steps; give it more with --steps beside what "
            f"else shall change"
        )
    settings: Table = {
        "others": others,
        "max_memory": compute.memory_limit,
        "precision": compute.precision,
        "method": method,
    }
    replanned = steered or elsewhere or changes.affect_plans
    plans = list(snapshot.plans)
    if replanned or recipe.steps != saved.recipe.steps:
        plans = list(Run(scene, **settings).plans)
        if not replanned:
            plans[snapshot.scale] = snapshot.plans[snapshot.scale]
    # The state of L-BFGS cannot be loaded into a history of another length.
    forgetful = steered or elsewhere or plans[snapshot.scale].history != snapshot.plans[snapshot.scale].history
    snapshot = dataclasses.replace(snapshot, plans=tuple(plans))
    run = Run(scene, snapshot=snapshot.without_history(recipe.bounds) if forgetful else snapshot, **settings)
    run.notes = (*devices.untold(choice.notes), *run.notes)
    return run


def _scene(
    folder: Path,
    saved: SavedRun,
    recipe: Recipe,
    replacements: ReplacedPictures,
) -> Scene:
    table = saved.table
    before, masks_before = table["styles"], table["masks"]

    def found(record: ReadOnlyTable | None, replacement: PictureSource | None, option: str) -> Picture | None:
        return None if record is None else document.picture(record, folder, replacement, option)

    def one_each(
        sources: Sequence[PictureSource | None] | None, count: int, what: str
    ) -> Sequence[PictureSource | None]:
        if sources is not None and len(sources) != count:
            raise UsageError(f"{len(sources)} {what}, and the run was started with {count}; give them all")
        return sources or [None] * count

    styles = one_each(replacements.styles, len(before), "style pictures")
    start = found(table["init"], replacements.init, "--init")
    photo = document.picture(table["content"], folder, replacements.content, "--content")
    pictures = [document.picture(record, folder, now, "--style") for record, now in zip(before, styles, strict=True)]
    content_mask = found(masks_before["content"], replacements.content_mask, "--content-mask")
    protect = found(masks_before["protect"], replacements.protect, "--protect")
    masks_now = one_each(replacements.style_masks, len(masks_before["styles"]), "style masks")
    style_masks = [
        found(record, replacement, "--style-mask")
        for record, replacement in zip(masks_before["styles"], masks_now, strict=True)
    ]
    weights = [float(record["weight"]) for record in before]
    paired = pair_styles(pictures, weights, style_masks, [*map(float, table["style_scales"])], table["style_parts"])
    inputs = Inputs(photo, paired, start, content_mask, protect)
    return Scene(inputs, recipe, torch.device("cpu"), assign(inputs))


def _check_settled(before: Recipe, recipe: Recipe) -> None:
    for name in _SETTLED:
        if getattr(before, name) != getattr(recipe, name):
            raise UsageError(
                f"--{name.replace('_', '-')} cannot change on the way: it was {getattr(before, name)}; "
                "paint anew, or start from the picture there is with --init"
            )


def _check_fits(scene: Scene, saved: SavedRun, snapshot: Snapshot) -> None:
    """Refuse a snapshot that is not of these pictures; only a file made by hand is."""
    sizes_now = [list(scale[:2]) for scale in scene.scales]
    if sizes_now != [list(scale[:2]) for scale in saved.table["scales"]]:
        raise ValueError("its sizes do not follow from its pictures")
    if tuple(snapshot.image.shape) != (1, 3, *scene.canvas_size(scene.scales[snapshot.scale])):
        raise ValueError("its image is not of its scale")
    if len(snapshot.plans) != len(scene.scales):
        raise ValueError("its plans are not those of its scales")


def _step_settings(recipe: Recipe) -> Recipe:
    """Return what of a recipe decides how a step is taken."""
    return recipe.replace(steps=(1,))
