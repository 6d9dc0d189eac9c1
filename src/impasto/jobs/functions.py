"""The public functions: paint, make a texture, reconstruct, or measure the loss."""

import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from impasto.engine.devices import Precision
from impasto.engine.evaluate import evaluate
from impasto.engine.objective import Evaluation
from impasto.jobs.job import Job, texture_job
from impasto.picture import Picture, PictureSource
from impasto.recipe import INITS, Part, Recipe, presets


def stylize(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    *,
    recipe: Recipe | str | Path = "default",
    weights: Sequence[float] | None = None,
    init: PictureSource | None = None,
    device: str = "auto",
    max_memory: int | str | None = None,
    precision: Precision = "auto",
    content_mask: PictureSource | None = None,
    style_masks: Sequence[PictureSource | None] = (),
    protect: PictureSource | None = None,
    style_scales: Sequence[float] = (),
    style_parts: Sequence[Part] = (),
    **changes: Any,
) -> Picture:
    """Return `content` painted in the style of one or several pictures.

    Args:
        content: the photo: a path, `Picture`, PIL image, NumPy array or tensor (see `impasto.picture.as_picture`).
        style: the style picture or a list of them, in the same forms.
        recipe: a recipe, the name of a preset, or the path of a `.toml` file.
        weights: how much each of several styles counts; equal if left out.
        init: what the image starts as: `content`, `matched`, `noise`, `style`, or a picture.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; see `Job`.
        max_memory: bytes, or text such as `3GB`, to make do with.
        precision: of the features, `auto`, `float32` or `bfloat16`.
        content_mask: which parts of the photo are painted after which style; see `Job`.
        style_masks: which parts of each style picture count.
        protect: a grey mask of the photo: white stays as it is.
        style_scales: sizes of the style pictures relative to each other.
        style_parts: what each style speaks for: `fine`, `coarse` or `all`.
        **changes: values for the recipe's fields, such as `size=1024` or `content_weight=0.05`.

    Returns:
        The picture, in the photo's aspect ratio, with the photo's transparency.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    chosen = presets.resolve(recipe)
    if isinstance(init, str) and init in INITS:
        changes["init"], init = init, None
    styles = style if isinstance(style, list | tuple) else [typing.cast(PictureSource, style)]
    return Job(
        content,
        styles,
        chosen.replace(**changes),
        weights,
        init,
        device,
        max_memory,
        precision,
        content_mask,
        style_masks,
        protect,
        style_scales,
        style_parts,
    ).paint()


def reconstruct(
    image: PictureSource,
    layers: str | Iterable[str] | Mapping[str, float] = "relu4_2",
    *,
    recipe: Recipe | str | Path = "reconstruction",
    device: str = "auto",
    **changes: Any,
) -> Picture:
    """Return a picture that a network cannot tell from `image` at `layers`: content alone, Gatys et al. 2016, figure 1.

    Args:
        image: in any of the forms that `stylize` takes.
        layers: a layer, layers, or layers with their weights.
        recipe: one with a content term.
        device: as in `stylize`.
        **changes: values for the recipe's fields.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    chosen = presets.resolve(recipe).replace(**changes).with_layers("content", layers)
    return Job(image, [], chosen, device=device).paint()


def texture(
    style: PictureSource | Sequence[PictureSource],
    height: int,
    width: int,
    *,
    layers: str | Iterable[str] | Mapping[str, float] | None = None,
    seamless: bool = False,
    recipe: Recipe | str | Path = "texture",
    weights: Sequence[float] | None = None,
    device: str = "auto",
    **changes: Any,
) -> Picture:
    """Return a picture with the statistics of `style` and no content: Gatys et al. 2015, "Texture Synthesis".

    Args:
        style: the style picture or a list of them, in any of the forms that `stylize` takes.
        height: of the result in pixels.
        width: of the result in pixels.
        layers: the layers compared, instead of the recipe's.
        seamless: whether the result continues at its other side when it is laid out in tiles.
        recipe: one with a style term.
        weights: how much each of several styles counts; equal if left out.
        device: as in `stylize`.
        **changes: values for the recipe's fields.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    chosen = presets.resolve(recipe).replace(**changes)
    styles = style if isinstance(style, list | tuple) else [typing.cast(PictureSource, style)]
    job = texture_job(styles, height, width, chosen, layers, seamless=seamless, weights=weights, device=device)
    return job.paint()


def loss(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    image: PictureSource,
    *,
    recipe: Recipe | str | Path = "default",
    weights: Sequence[float] | None = None,
    device: str = "auto",
    **changes: Any,
) -> Evaluation:
    """Return what a recipe's objective says of `image`: the loss, and what each term adds to it.

    Args:
        content: the photo, in any of the forms that `stylize` takes.
        style: the style picture or a list of them.
        image: the picture to be judged, resized to the recipe's size.
        recipe: as in `stylize`.
        weights: how much each of several styles counts; equal if left out.
        device: as in `stylize`.
        **changes: values for the recipe's fields.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    # A picture that was saved has lost its margin.
    chosen = presets.resolve(recipe).replace(**changes).replace(margin=0.0)
    styles = style if isinstance(style, list | tuple) else [typing.cast(PictureSource, style)]
    scene = Job(content, styles, chosen, weights, image, device).scene()
    return evaluate(scene)
