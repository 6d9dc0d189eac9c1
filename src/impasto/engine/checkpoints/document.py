"""The document of a checkpoint: the recipe, the options, and the pictures with their paths and digests."""

import hashlib
import os
from pathlib import Path
from typing import Final

import numpy as np

from impasto.engine.scene import Scene
from impasto.errors import CheckpointError, PictureError
from impasto.picture import Picture, PictureSource, as_picture
from impasto.picture.files import is_pipe
from impasto.recipe.provenance import plain_name
from impasto.system.paths import relative_path
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable

# Names of pictures that come from no file; see `impasto.picture.files.stream_name`.
_NAMELESS: Final = ("memory", "stdin")


def table(scene: Scene, folder: Path, options: ReadOnlyTable) -> Table:
    """Return the document of a run's checkpoints, without the position in the run.

    Args:
        scene: of the run.
        folder: of the checkpoints; paths are kept both absolute and relative to it.
        options: of the run, as plain values.

    """
    inputs = scene.inputs
    has_masks = any((inputs.content_mask, inputs.protect, *inputs.style_masks))
    return {
        "masks": {
            "content": _describe_optional(inputs.content_mask, folder),
            "styles": [_describe_optional(style.mask, folder) for style in inputs.styles] if has_masks else [],
            "protect": _describe_optional(inputs.protect, folder),
        },
        "style_scales": list(inputs.style_scales),
        "style_parts": list(inputs.style_parts),
        "recipe": scene.recipe.to_table(),
        "content": _describe(inputs.photo, folder),
        "styles": [_describe(style.picture, folder) | {"weight": style.weight} for style in inputs.styles],
        "init": _describe_optional(inputs.start, folder),
        "scales": [list(scale) for scale in scene.scales],
        "options": dict(options),
    }


def portable_path(path: str | os.PathLike[str], folder: Path) -> dict[str, str]:
    """Return a path as absolute and as relative to the folder, so that both can be moved together."""
    absolute = os.path.abspath(path)  # noqa: PTH100
    return {"path": absolute, "relative": relative_path(absolute, os.path.abspath(folder))}  # noqa: PTH100


def candidate_paths(record: ReadOnlyTable, folder: Path) -> list[Path]:
    """Return the paths that `portable_path` may stand for now, the likeliest first."""
    return [Path(record["path"]), Path(os.path.abspath(folder / record["relative"]))]  # noqa: PTH100


def picture(record: ReadOnlyTable, folder: Path, replacement: PictureSource | None, option: str) -> Picture:
    """Return an input picture of a run, after checking that it has not changed.

    Args:
        record: the picture's part of `table`.
        folder: of the checkpoint.
        replacement: a picture to read instead of the file that the record names.
        option: of the command line that names a replacement, for messages.

    Raises:
        CheckpointError: the picture is missing, or has changed.

    """
    name = printable(record["name"])
    if replacement is not None:
        return _check_same(as_picture(replacement), record, f"what {option} gives")
    if record["frame"] is not None:
        height, width = record["frame"]
        return Picture(np.full((3, height, width), 0.5, np.float32))
    if record["file"] is None:
        raise CheckpointError(f"{name}: came from no file when the run was started; give the picture with {option}")
    problem: CheckpointError | None = None
    for path in candidate_paths(record["file"], folder):
        if path.is_file():
            try:
                return _check_same(as_picture(path), record, printable(path))
            except PictureError as error:
                problem = problem or CheckpointError(f"{error}; give the picture with {option}")
            except CheckpointError as error:
                problem = problem or error
    raise problem or CheckpointError(
        f"{printable(record['file']['path'])}: is not there any more; say with {option} where the picture is now"
    )


def _describe_optional(picture: Picture | None, folder: Path) -> Table | None:
    return None if picture is None else _describe(picture, folder)


def _describe(picture: Picture, folder: Path) -> Table:
    is_nameless = picture.source in _NAMELESS and not Path(picture.source).is_file()
    has_file = picture.sha256 is not None and not is_nameless and not is_pipe(picture.source)
    return {
        "name": plain_name(picture.source),
        "file": portable_path(picture.source, folder) if has_file else None,
        "sha256": picture.sha256,
        "pixels": _digest(picture),
        # The frame of a texture is only a size.
        "frame": list(picture.size) if picture.sha256 is None and _is_frame(picture) else None,
    }


def _is_frame(picture: Picture) -> bool:
    return picture.alpha is None and bool((picture.pixels == 0.5).all())


def _digest(picture: Picture) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(picture.pixels).data)
    if picture.alpha is not None:
        digest.update(np.ascontiguousarray(picture.alpha).data)
    return f"{digest.hexdigest()} {picture.width}x{picture.height}"


def _check_same(picture: Picture, record: ReadOnlyTable, name: str) -> Picture:
    if _digest(picture) == record["pixels"]:
        return picture
    difference = (
        "the file has changed" if picture.sha256 != record["sha256"] else "the same file, but its pixels were others"
    )
    raise CheckpointError(
        f"{name}: is another picture than the run was started with ({difference}); "
        f"give {printable(record['name'])} as it was, or paint anew"
    )
