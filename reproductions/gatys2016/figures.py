"""What stands where in each figure, and how it is painted. Nothing is painted here but by `Panel.picture`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import impasto
from impasto import Picture, Recipe, UsageError
from impasto.recipe.terms import STYLE_LAYERS, Content, Term, Terms

if TYPE_CHECKING:
    from impasto import Job  # imports torch, which a wrong request need not wait for

# Gatys et al. 2016, section 4: "approximately 512 x 512 pixels".
PAPER_SIZE: Final = 512
# Gatys et al. 2016, figures 5 and 6.
RATIO: Final = 1e-3
# Gatys et al. 2016, figure 3: Shipwreck of the Minotaur, Starry Night, The Scream, Seated Nude, Composition VII.
RATIOS_OF_STYLES: Final = (1e-3, 8e-4, 5e-3, 5e-4, 5e-4)
# Gatys et al. 2016, figure 4: from top left to bottom right.
TRADE_OFF: Final = (1e-4, 1e-3, 1e-2, 1e-1)
# Gatys et al. 2016, figure 7.
PHOTOREALISTIC: Final = 1e-2
# Gatys et al. 2016, figure 1: conv1_2 to conv5_2, rectified.
CONTENT_LAYERS: Final = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
# Gatys et al. 2016, figure 5: conv2_2 and conv4_2, rectified.
COMPARED_LAYERS: Final = ("relu2_2", "relu4_2")
# Gatys et al. 2016, figure 6 C.
NOISE_STARTS: Final = 4
# Gatys et al. 2016, figure 3: A is the photo, B to F are the styles; ours: as many more as there are letters.
LETTERS: Final = "BCDEFGHIJKLMNOPQRSTUVWXYZ"
# Ours: as much of a file's name as stands under a small panel.
NAME_LENGTH: Final = 24


@dataclass(frozen=True)
class Settings:
    """How all panels of a figure are painted.

    Attributes:
        recipe: what every panel's recipe is made from: a recipe, the name of a preset, or a `.toml` file.
        size: the long side of a panel in pixels (see the recipe's `side`); None for the recipe's.
        steps: of each scale; None for the recipe's.
        network: the network; None for the recipe's.
        seed: of the noise; figure 6 counts on from it.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    """

    recipe: Recipe | str | Path = "gatys-2016"
    size: int | None = None
    steps: int | None = None
    network: str | None = None
    seed: int = 0
    device: str = "auto"

    @property
    def base(self) -> Recipe:
        """The recipe with these settings, balanced as at the paper's size.

        Raises:
            RecipeError: no such recipe, or a setting out of range.

        """
        steps = None if self.steps is None else (self.steps,)
        changes = {"size": self.size, "steps": steps, "network": self.network, "seed": self.seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return _balanced(impasto.recipe.presets.resolve(self.recipe).replace(**given))


@dataclass(frozen=True)
class Panel:
    """A picture of a figure, and what is written under it.

    Attributes:
        label: ASCII, one line.
        source: one of the figure's inputs, or what is to be painted.

    """

    label: str
    source: "Picture | Job"

    @property
    def is_input(self) -> bool:
        """Whether there is nothing to paint."""
        return isinstance(self.source, Picture)

    def picture(self) -> Picture:
        """Return the input, or paint the job.

        Raises:
            ImpastoError: as `impasto.Job.start`, or in the course of the run.

        """
        if isinstance(self.source, Picture):
            return self.source
        return self.source.paint()


@dataclass(frozen=True)
class Figure:
    """A figure before it is painted.

    Attributes:
        heading: lines above the panels.
        rows: panels from top to bottom and left to right; None leaves a place empty.

    """

    heading: tuple[str, ...]
    rows: tuple[tuple[Panel | None, ...], ...]


Maker: TypeAlias = Callable[[Picture, Sequence[Picture], Settings], Figure]


def _balanced(recipe: Recipe) -> Recipe:
    """Return the recipe with the balance that its ratio alpha/beta gives at the paper's size.

    The sum of equation 1 grows with the number of pixels, so at a smaller size the same ratio would show less content.
    """
    if recipe.size == "original":
        return recipe
    factor = (PAPER_SIZE / recipe.size) ** 2
    terms = (
        Term(term.loss, term.weight * factor)
        if isinstance(term.loss, Content) and term.loss.form == "literal"
        else term
        for term in recipe.terms
    )
    return recipe.replace(terms=Terms(terms))


def figure_1(content: Picture, styles: Sequence[Picture], settings: Settings) -> Figure:
    """Return what the network's layers know of a picture: style above, content below, each painted from noise alone."""
    style = _single(styles, "figure 1")
    base = _from_noise(settings.base)
    above, below = [_input("style", style)], [_input("content", content)]
    for index, letter in enumerate("abcde"):
        first, last = STYLE_LAYERS[0], STYLE_LAYERS[index]
        names = _conv(first) if first == last else f"{_conv(first)} to {_conv(last)}"
        subset = _alone(base, "style", STYLE_LAYERS[: index + 1])
        above.append(
            Panel(
                f"{letter}  {names}",
                impasto.Job(impasto.Inputs.of(style, [style]), subset, compute=impasto.Compute(settings.device)),
            )
        )
        layer = CONTENT_LAYERS[index]
        single = _alone(base, "content", layer)
        below.append(
            Panel(
                f"{letter}  {_conv(layer)}",
                impasto.Job(impasto.Inputs(content), single, compute=impasto.Compute(settings.device)),
            )
        )
    heading = _heading("Figure 1: style (above) and content (below), reconstructed from layers", base)
    return Figure(heading, (tuple(above), tuple(below)))


def figure_3(content: Picture, styles: Sequence[Picture], settings: Settings, ratios: Sequence[float] = ()) -> Figure:
    """Return one photo in several styles, each result below its style.

    Args:
        content: the photo.
        styles: one picture or more.
        settings: how all are painted.
        ratios: alpha/beta of each style, or one for all; by default those of the paper's five, and 1e-3 for more.

    """
    if not 1 <= len(styles) <= len(LETTERS):
        raise UsageError(f"figure 3 takes 1 to {len(LETTERS)} style pictures, not {len(styles)}")
    if len(ratios) not in (0, 1, len(styles)):
        raise UsageError(f"{len(ratios)} ratios for {len(styles)} style pictures; give one for each, or one for all")
    each = [*RATIOS_OF_STYLES, *[RATIO] * len(styles)] if not ratios else [*ratios] * len(styles)
    pairs = list(zip(LETTERS[: len(styles)], styles, each[: len(styles)], strict=True))
    results = [
        _painted(f"{letter}  {_ratio(ratio)}", content, style, settings, ratio) for letter, style, ratio in pairs
    ]
    inputs = [_input(letter, style) for letter, style, _ in pairs]
    heading = _heading("Figure 3: one photograph in several styles", settings.base)
    return Figure(heading, ((_input("A", content), *inputs), (None, *results)))


def figure_4(content: Picture, styles: Sequence[Picture], settings: Settings) -> Figure:
    """Return four weightings of content against style."""
    style = _single(styles, "figure 4")
    one, two, three, four = (_painted(_ratio(ratio), content, style, settings, ratio) for ratio in TRADE_OFF)
    heading = _heading("Figure 4: content against style", settings.base)
    return Figure(heading, ((_input("content", content), one, two), (_input("style", style), three, four)))


def figure_5(content: Picture, styles: Sequence[Picture], settings: Settings) -> Figure:
    """Return the content matched at a low layer and at a high one."""
    style = _single(styles, "figure 5")
    low, high = (
        _painted(_conv(layer), content, style, settings, RATIO, content_layer=layer) for layer in COMPARED_LAYERS
    )
    heading = _heading(f"Figure 5: the layer of the content, {_ratio(RATIO)}", settings.base)
    return Figure(heading, ((_input("content", content), low), (_input("style", style), high)))


def figure_6(content: Picture, styles: Sequence[Picture], settings: Settings) -> Figure:
    """Return what comes of starting from the content, from the style and from different noises."""
    style = _single(styles, "figure 6")
    from_content = _painted("A  from the content", content, style, settings, RATIO, init="content")
    from_style = _painted("B  from the style", content, style, settings, RATIO, start=style)
    first = settings.base.seed
    one, two, three, four = (
        _painted(f"C  from noise, seed {seed}", content, style, settings, RATIO, init=_noise(settings.base), seed=seed)
        for seed in range(first, first + NOISE_STARTS)
    )
    heading = _heading(f"Figure 6: the start, {_ratio(RATIO)}", settings.base)
    above = (_input("content", content), from_content, one, two)
    return Figure(heading, (above, (_input("style", style), from_style, three, four)))


def figure_7(content: Picture, styles: Sequence[Picture], settings: Settings) -> Figure:
    """Return the style of one photograph on another, such as night on day."""
    style = _single(styles, "figure 7")
    # Gatys et al. 2016, figure 7: "initialised from the content image".
    result = _painted(_ratio(PHOTOREALISTIC), content, style, settings, PHOTOREALISTIC, init="content")
    heading = _heading("Figure 7: the style of a photograph", settings.base)
    return Figure(heading, ((_input("content", content), _input("style", style), result),))


FIGURES: Final[dict[str, Maker]] = {
    "figure_1": figure_1,
    "figure_3": figure_3,
    "figure_4": figure_4,
    "figure_5": figure_5,
    "figure_6": figure_6,
    "figure_7": figure_7,
}


def _painted(
    label: str,
    content: Picture,
    style: Picture,
    settings: Settings,
    ratio: float,
    *,
    content_layer: str | None = None,
    start: Picture | None = None,
    **changes: Any,
) -> Panel:
    recipe = settings.base.replace(content_weight=ratio, style_weight=1.0, **changes)
    if content_layer is not None:
        recipe = recipe.with_layers("content", content_layer)
    return Panel(
        label,
        impasto.Job(impasto.Inputs.of(content, [style], start=start), recipe, compute=impasto.Compute(settings.device)),
    )


def _alone(recipe: Recipe, role: Literal["content", "style"], layers: str | Sequence[str]) -> Recipe:
    """Return `recipe` with nothing but its terms of that role, at `layers`."""
    chosen = recipe.with_layers(role, layers)
    terms = Terms(term for term in chosen.terms if term.loss.role == role)
    return chosen.replace(content_weight=float(role == "content"), style_weight=float(role == "style"), terms=terms)


def _from_noise(recipe: Recipe) -> Recipe:
    return recipe.replace(init=_noise(recipe))


def _noise(recipe: Recipe) -> str:
    # The paper's white noise has no strength; a recipe that starts from noise says which, faint ("grey") or full.
    return recipe.init if recipe.init in ("grey", "noise") else "noise"


def _single(styles: Sequence[Picture], figure: str) -> Picture:
    if len(styles) != 1:
        raise UsageError(f"{figure} takes one style picture, not {len(styles)}")
    return styles[0]


def _input(role: str, picture: Picture) -> Panel:
    # The type that comes with Pillow has ASCII only.
    name = " ".join(Path(picture.source).stem.encode("ascii", "replace").decode().split())
    return Panel(f"{role}  {name[:NAME_LENGTH]}", picture)


def _heading(title: str, recipe: Recipe) -> tuple[str, str]:
    steps = " + ".join(map(str, recipe.steps))
    return title, f"{recipe.name}, {recipe.network}, {recipe.size} px ({recipe.side} side), {steps} steps"


def _conv(layer: str) -> str:
    """Return a rectified layer by the paper's name for it."""
    return layer.replace("relu", "conv")


def _ratio(ratio: float) -> str:
    mantissa, exponent = f"{ratio:e}".split("e")
    return f"alpha/beta {float(mantissa):g}e{int(exponent)}"
