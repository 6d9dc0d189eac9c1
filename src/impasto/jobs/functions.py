"""The public functions: paint, make a texture, reconstruct, or measure the loss."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from impasto.engine.evaluate import evaluate
from impasto.engine.objective import Evaluation
from impasto.engine.own_settings import own_settings
from impasto.jobs.job import Job, texture_job
from impasto.picture import Picture, PictureSource
from impasto.recipe import INITS, Compute, Inputs, Precision, Recipe, Style, list_styles, presets

# A style: a picture, or a `Style` that says how it counts.
StyleSource = PictureSource | Style[PictureSource]
StyleSources = StyleSource | Sequence[StyleSource]


def stylize(
    content: PictureSource,
    style: StyleSources,
    *,
    recipe: Recipe | str | Path = "default",
    init: PictureSource | None = None,
    device: str = "auto",
    max_memory: int | str | None = None,
    precision: Precision = "auto",
    content_mask: PictureSource | None = None,
    protect: PictureSource | None = None,
    **changes: object,
) -> Picture:
    """Return `content` painted in the style of one or several pictures.

    Args:
        content: the photo: a path, `Picture`, PIL image, NumPy array or tensor (see `impasto.picture.as_picture`).
        style: the style picture or a list of them, in the same forms, or as a `Style`, which adds weight, mask, scale
            and layers.
        recipe: a recipe, the name of a preset, or the path of a `.toml` file.
        init: what the image starts from: `content`, `matched`, `noise`, `style`, `grey`, or a picture.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `xpu` or `mps`; see `impasto.Compute`.
        max_memory: limit in bytes, or text such as `3GB`.
        precision: of the features, `auto`, `float32` or `bfloat16`.
        content_mask: which parts of the photo are painted in which style; see `impasto.engine.masks.assign`.
        protect: a grey mask of the photo: white stays as it is.
        **changes: values for the recipe's fields, such as `size=1024` or `content_weight=0.05`.

    Returns:
        The picture, in the photo's aspect ratio, with the photo's transparency.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    resolved = presets.resolve(recipe)
    if isinstance(init, str) and init in INITS:
        changes["init"], init = init, None
    inputs = Inputs.of(content, style, start=init, content_mask=content_mask, protect=protect)
    return Job(inputs, resolved.replace(**changes), Compute(device, max_memory, precision)).paint()


def reconstruct(
    image: PictureSource,
    layers: str | Iterable[str] | Mapping[str, float] = "relu4_2",
    *,
    recipe: Recipe | str | Path = "reconstruction",
    device: str = "auto",
    **changes: object,
) -> Picture:
    """Return a picture whose features at `layers` are those of `image`: content alone, Gatys et al. 2016, figure 1.

    Args:
        image: in any of the forms that `stylize` takes.
        layers: a layer, layers, or layers with their weights.
        recipe: one with a content term.
        device: as in `stylize`.
        **changes: values for the recipe's fields.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    resolved = presets.resolve(recipe).replace(**changes).with_layers("content", layers)
    return Job(Inputs(image), resolved, Compute(device)).paint()


def texture(
    style: StyleSources,
    height: int,
    width: int,
    *,
    layers: str | Iterable[str] | Mapping[str, float] | None = None,
    seamless: bool = False,
    recipe: Recipe | str | Path = "texture",
    device: str = "auto",
    **changes: object,
) -> Picture:
    """Return a picture with the statistics of `style` and no content: Gatys et al. 2015, "Texture Synthesis".

    Args:
        style: the style picture or a list of them, in any of the forms that `stylize` takes.
        height: of the result in pixels.
        width: of the result in pixels.
        layers: the layers compared, instead of the recipe's.
        seamless: whether copies of the result laid side by side fit together without seams.
        recipe: one with a style term.
        device: as in `stylize`.
        **changes: values for the recipe's fields.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    resolved = presets.resolve(recipe).replace(**changes)
    job = texture_job(list_styles(style), height, width, resolved, layers, seamless=seamless, compute=Compute(device))
    return job.paint()


@own_settings()
def loss(
    content: PictureSource,
    style: StyleSources,
    image: PictureSource,
    *,
    recipe: Recipe | str | Path = "default",
    device: str = "auto",
    **changes: object,
) -> Evaluation:
    """Return the loss of `image` under a recipe's objective, and what each term adds to it.

    Args:
        content: the photo, in any of the forms that `stylize` takes.
        style: the style picture or a list of them.
        image: the picture to evaluate; it is resized to the recipe's size.
        recipe: as in `stylize`.
        device: as in `stylize`.
        **changes: values for the recipe's fields.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    # A saved picture has no margin.
    resolved = presets.resolve(recipe).replace(**changes).replace(margin=0.0)
    return evaluate(Job(Inputs.of(content, style, start=image), resolved, Compute(device)).scene())
