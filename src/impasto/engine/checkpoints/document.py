"""What a checkpoint knows of the pictures it was made of: where they were, and what they held to the bit."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from impasto.engine.scene import Scene
from impasto.errors import CheckpointError, PictureError
from impasto.picture import Picture, PictureSource, as_picture
from impasto.recipe.provenance import plain_name
from impasto.system.text import printable

# What pictures that come from no file are called: `impasto.picture.files.stream_name`.
_NAMELESS: Final = ("memory", "stdin")


def table(scene: Scene, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a checkpoint of a run says beside where it is.

    Args:
        scene: the run's.
        folder: where the checkpoint is kept: paths are noted as they are and as they are from there.
        options: of the run; plain values.

    """
    inputs = scene.inputs
    has_masks = any((inputs.content_mask, inputs.protect, *inputs.style_masks))
    return {
        "masks": {
            "content": _optional(inputs.content_mask, folder),
            "styles": [_optional(style.mask, folder) for style in inputs.styles] if has_masks else [],
            "protect": _optional(inputs.protect, folder),
        },
        "style_scales": list(inputs.style_scales),
        "style_parts": list(inputs.style_parts),
        "recipe": scene.recipe.to_table(),
        "content": _noted(inputs.photo, folder),
        "styles": [_noted(style.picture, folder) | {"weight": style.weight} for style in inputs.styles],
        "init": _optional(inputs.start, folder),
        "scales": [list(scale) for scale in scene.scales],
        "options": dict(options),
    }


def both_paths(path: str | os.PathLike[str], folder: Path) -> dict[str, str]:
    """Return a path from the root, and from the folder: with it, it can be moved."""
    whole = os.path.abspath(path)  # noqa: PTH100
    return {"path": whole, "relative": os.path.relpath(whole, os.path.abspath(folder))}  # noqa: PTH100


def found_path(noted: Mapping[str, Any], folder: Path) -> list[Path]:
    """Return where what `both_paths` noted may be now, the likeliest first."""
    return [Path(noted["path"]), Path(os.path.abspath(folder / noted["relative"]))]  # noqa: PTH100


def picture(noted: Mapping[str, Any], folder: Path, given: PictureSource | None, option: str) -> Picture:
    """Return a picture that a run was made of.

    Args:
        noted: what `table` has of it.
        folder: of the checkpoint.
        given: where it is now, instead of where it was.
        option: by which a person says so.

    Raises:
        CheckpointError: it is not there, or not the same any more.

    """
    name = printable(noted["name"])
    if given is not None:
        return _same(as_picture(given), noted, f"what {option} gives")
    if noted["frame"] is not None:
        height, width = noted["frame"]
        return Picture(np.full((3, height, width), 0.5, np.float32))
    if noted["file"] is None:
        raise CheckpointError(f"{name}: came from no file when the run was started; give the picture with {option}")
    problem: CheckpointError | None = None
    for path in found_path(noted["file"], folder):
        if path.is_file():
            try:
                return _same(as_picture(path), noted, printable(path))
            except PictureError as error:
                problem = problem or CheckpointError(f"{error}; give the picture with {option}")
            except CheckpointError as error:
                problem = problem or error
    raise problem or CheckpointError(
        f"{printable(noted['file']['path'])}: is not there any more; say with {option} where the picture is now"
    )


def _optional(found: Picture | None, folder: Path) -> dict[str, Any] | None:
    return None if found is None else _noted(found, folder)


def _noted(found: Picture, folder: Path) -> dict[str, Any]:
    named = found.sha256 is not None and (found.source not in _NAMELESS or Path(found.source).is_file())
    return {
        "name": plain_name(found.source),
        "file": both_paths(found.source, folder) if named else None,
        "sha256": found.sha256,
        "pixels": _digest(found),
        # That of a texture: a size and nothing else.
        "frame": list(found.size) if found.sha256 is None and _is_frame(found) else None,
    }


def _is_frame(found: Picture) -> bool:
    return found.alpha is None and bool((found.pixels == 0.5).all())


def _digest(found: Picture) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(found.pixels).data)
    if found.alpha is not None:
        digest.update(np.ascontiguousarray(found.alpha).data)
    return f"{digest.hexdigest()} {found.width}x{found.height}"


def _same(found: Picture, noted: Mapping[str, Any], name: str) -> Picture:
    if _digest(found) == noted["pixels"]:
        return found
    why = "the file has changed" if found.sha256 != noted["sha256"] else "the same file, but its pixels were others"
    raise CheckpointError(
        f"{name}: is another picture than the run was started with ({why}); "
        f"give {printable(noted['name'])} as it was, or paint anew"
    )
