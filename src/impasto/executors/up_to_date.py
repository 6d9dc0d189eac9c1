"""Whether the picture of a task is there already: asked of the picture, which remembers what it was painted of."""

import contextlib

from impasto import __version__
from impasto.errors import PictureError
from impasto.executors import storage
from impasto.executors.task import Task
from impasto.picture import remembered
from impasto.recipe import normalize_weights
from impasto.recipe.provenance import Input, Remembered


def is_up_to_date(task: Task) -> bool:
    """Whether the output of a task is a finished picture of the same inputs, recipe and version of impasto."""
    memory = read_provenance(task)
    return memory is not None and matches(task, memory)


def read_provenance(task: Task) -> Remembered | None:
    """Return the provenance in the output of a task; None if there is no output, or it has none.

    Raises:
        OutputError: the output is in a store, and cannot be read.

    """
    with contextlib.suppress(PictureError):
        if task.url is None:
            return remembered(task.output.path)
        if (data := storage.read(task.url)) is not None:
            return remembered(data)
    return None


def matches(task: Task, memory: Remembered) -> bool:
    """Whether a picture with that memory is the one that the task paints."""
    if task.identity is None:
        return False
    inputs, drawn = task.inputs, memory.drawn
    weights = [style.weight for style in normalize_weights(inputs.styles, is_needed=False)]
    return (
        memory.finished
        and memory.version == __version__
        and memory.recipe.digest == task.recipe.digest
        and [style.weight for style in memory.styles] == weights
        and memory.style_scales == inputs.style_scales
        and memory.style_parts == inputs.style_parts
        and [_digest(picture) for picture in (memory.content, memory.init, drawn.content, drawn.protect)]
        == [task.digests.get(path or "") for path in (inputs.photo, inputs.start, inputs.content_mask, inputs.protect)]
        and [_digest(picture) for picture in memory.styles] == [task.digests[style.picture] for style in inputs.styles]
        and [_digest(picture) for picture in drawn.styles]
        == [task.digests.get(path or "") for path in inputs.style_masks]
    )


def _digest(picture: Input | None) -> str | None:
    return None if picture is None else picture.sha256
