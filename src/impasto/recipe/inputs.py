"""The inputs of a picture and how it is computed: records that travel from every surface to the engine.

A picture in them is of whatever type names one at that stage: a path on the command line and in a batch, anything that
`impasto.picture.as_picture` takes in Python, a `Picture` in the engine. `Inputs.map` converts one into the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Literal, TypeVar, get_args

from impasto.errors import UsageError, suggest
from impasto.system.units import parse_bytes

Source = TypeVar("Source", covariant=True)
Other = TypeVar("Other")

# The layers at which one of several styles counts: fine ones for strokes and colours, coarse ones for shapes.
Part = Literal["all", "fine", "coarse"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

# Of the network's features; `auto` is bfloat16 on GPUs that have it, else float32.
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Style(Generic[Source]):
    """A style picture and how it counts.

        impasto.stylize("photo.jpg", impasto.Style("painting.jpg", scale=1.5, mask="brushwork.png"))

    Args:
        picture: the style picture.
        weight: how much it counts beside other styles, at least 0; weights need not sum to 1.
        mask: a grey picture whose white parts count, or a map with the colours of the content mask; None for the whole
            picture. See `impasto.engine.masks.assign`.
        scale: its size relative to the other styles, above 0; `recipe.style_scale` multiplies all.
        part: the layers at which it counts: those of strokes and colours (`fine`), of shapes (`coarse`), or `all`.

    Raises:
        UsageError: there is no such part.

    """

    picture: Source
    weight: float = 1.0
    mask: Source | None = None
    scale: float = 1.0
    part: Part = "all"

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise UsageError(f"style part {self.part!r}; {suggest(self.part, PARTS)}")

    def map(self, function: Callable[[Source], Other]) -> "Style[Other]":
        """Return the style with `function` applied to its picture and mask."""
        mask = None if self.mask is None else function(self.mask)
        return Style(function(self.picture), self.weight, mask, self.scale, self.part)


@dataclass(frozen=True)
class Inputs(Generic[Source]):
    """The input pictures of a run.

    Args:
        photo: the content.
        styles: the styles; empty if no term of the recipe compares styles.
        start: the image to start from, stretched to the photo's size; None to follow `recipe.init`.
        content_mask: which parts of the photo are painted in which style; see `impasto.engine.masks.assign`.
        protect: a grey mask of the photo, white where the photo stays.

    """

    photo: Source
    styles: tuple[Style[Source], ...] = ()
    start: Source | None = None
    content_mask: Source | None = None
    protect: Source | None = None

    @staticmethod
    def of(
        photo: Other,
        styles: "Other | Style[Other] | Sequence[Other | Style[Other]]",
        *,
        start: Other | None = None,
        content_mask: Other | None = None,
        protect: Other | None = None,
    ) -> "Inputs[Other]":
        """Return inputs with styles given in any form: one or a list of them, each a picture or a `Style`.

        >>> Inputs.of("photo.jpg", ["a.jpg", Style("b.jpg", weight=0.3)]).weights
        (1.0, 0.3)

        Args:
            photo: see `Inputs`.
            styles: see `Inputs`.
            start: see `Inputs`.
            content_mask: see `Inputs`.
            protect: see `Inputs`.

        """
        return Inputs(photo, list_styles(styles), start, content_mask, protect)

    @property
    def weights(self) -> tuple[float, ...] | None:
        """The weight of every style; None where all are 1."""
        weights = tuple(style.weight for style in self.styles)
        return weights if any(weight != 1 for weight in weights) else None

    @property
    def style_masks(self) -> tuple[Source | None, ...]:
        """The mask of every style; empty if none has one."""
        masks = tuple(style.mask for style in self.styles)
        return masks if any(mask is not None for mask in masks) else ()

    @property
    def style_scales(self) -> tuple[float, ...]:
        """The scale of every style; empty if all are 1."""
        scales = tuple(float(style.scale) for style in self.styles)
        return scales if any(scale != 1 for scale in scales) else ()

    @property
    def style_parts(self) -> tuple[Part, ...]:
        """The part of every style; empty if all are `all`."""
        parts = tuple(style.part for style in self.styles)
        return parts if any(part != "all" for part in parts) else ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """All pictures: photo, styles, start and masks."""
        optional = (self.start, self.content_mask, *self.style_masks, self.protect)
        pictures = [self.photo, *(style.picture for style in self.styles)]
        return *pictures, *(source for source in optional if source is not None)

    def map(self, function: Callable[[Source], Other]) -> "Inputs[Other]":
        """Return the inputs with `function` applied to every picture, the photo first."""

        def optional(source: Source | None) -> Other | None:
            return None if source is None else function(source)

        return Inputs(
            function(self.photo),
            tuple(style.map(function) for style in self.styles),
            optional(self.start),
            optional(self.content_mask),
            optional(self.protect),
        )

    def with_weights(self, weights: Sequence[float]) -> "Inputs[Source]":
        """Return the inputs with other weights of the styles.

        Raises:
            UsageError: their number is not that of the styles.

        """
        _check_count("weights", weights, self.styles)
        styles = (replace(style, weight=weight) for style, weight in zip(self.styles, weights, strict=True))
        return replace(self, styles=tuple(styles))


def list_styles(styles: Other | Style[Other] | Sequence[Other | Style[Other]]) -> tuple[Style[Other], ...]:
    """Return styles given in any form, one or a list of them, each a picture or a `Style`, as a tuple of `Style`."""
    listed: Sequence[Other | Style[Other]] = styles if isinstance(styles, list | tuple) else [styles]  # type: ignore[list-item]
    return tuple(style if isinstance(style, Style) else Style(style) for style in listed)


def pair_styles(
    pictures: Sequence[Other],
    weights: Sequence[float] | None = None,
    masks: Sequence[Other | None] = (),
    scales: Sequence[float] = (),
    parts: Sequence[str] = (),
) -> tuple[Style[Other], ...]:
    """Return styles from parallel lists, as a command line gives them.

    Args:
        pictures: the style pictures.
        weights: one for each; 1 for all if None or empty.
        masks: at most one for each, in order; None for a style without.
        scales: one for each; 1 for all if empty.
        parts: one for each; `all` for all if empty.

    Raises:
        UsageError: a list has another length, or there is no such part.

    """
    if len(masks) > len(pictures):
        raise UsageError(f"{len(masks)} style masks for {len(pictures)} style pictures; give at most one for each")
    for name, values in (("weights", weights), ("scales", scales), ("parts", parts)):
        if values:
            _check_count(name, values, pictures)
    count = len(pictures)
    columns = zip(
        pictures,
        weights or [1.0] * count,
        [*masks, *[None] * (count - len(masks))],
        scales or [1.0] * count,
        parts or ["all"] * count,
        strict=True,
    )
    # `Style` refuses a part that does not exist.
    return tuple(Style(picture, weight, mask, scale, part) for picture, weight, mask, scale, part in columns)  # type: ignore[arg-type]


def _check_count(name: str, values: Sequence[object], pictures: Sequence[object]) -> None:
    if len(values) != len(pictures):
        raise UsageError(f"{len(values)} style {name} for {len(pictures)} style pictures; give one for each")


def normalize_weights(styles: Sequence[Style[Other]], *, is_needed: bool = True) -> tuple[Style[Other], ...]:
    """Return the styles with weights scaled to sum to 1.

    Args:
        styles: any number; their weights need not sum to 1.
        is_needed: whether there must be at least one.

    Raises:
        UsageError: there is no style but one is needed, a weight is negative, or none is above 0.

    """
    if not styles and not is_needed:
        return ()
    if not styles:
        raise UsageError("no style picture was given; name at least one")
    weights = [style.weight for style in styles]
    total = sum(weights)
    if not (min(weights) >= 0 and 0 < total < float("inf")):
        raise UsageError(f"style weights are {', '.join(map(str, weights))}; give numbers of at least 0, one above 0")
    return tuple(replace(style, weight=style.weight / total) for style in styles)


@dataclass(frozen=True)
class Compute:
    """What a run is computed with: it decides time and memory, and of the result only the last digits.

    >>> Compute("cpu", max_memory="3GB").memory_limit
    3000000000

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `xpu` or `mps`; or several separated by commas, which share the tiles
            of a picture computed in tiles.
        max_memory: limit in bytes, or text such as `3GB`: of the process on the CPU, of the device elsewhere. None for
            all that is free.
        precision: of the network's features, `auto`, `float32` or `bfloat16`; see `impasto.engine.devices.dtype`.

    """

    device: str = "auto"
    max_memory: int | str | None = None
    precision: Precision = "auto"

    @property
    def memory_limit(self) -> int | None:
        """`max_memory` in bytes.

        Raises:
            UsageError: it is not an amount of memory.

        """
        return None if self.max_memory is None else parse_bytes(self.max_memory)


# The best device there is, with all the memory that is free.
AUTOMATIC: Final = Compute()
