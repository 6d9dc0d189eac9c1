"""The recipe: everything that decides how a picture is painted, except the pictures themselves."""

import dataclasses
import hashlib
import json
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import tomli_w

from impasto.errors import RecipeError, suggest
from impasto.recipe import settings, vgg_layers
from impasto.recipe.settings import setting, short_repr
from impasto.recipe.terms import (
    Content,
    LayeredLoss,
    Loss,
    MeanCovariance,
    Role,
    Term,
    Terms,
    TotalVariation,
    weighted_layers,
)
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import reason


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS, Nocedal and Wright 2006, chapter 7. It needs about half of Adam's steps.

    There is no line search, so a step costs one evaluation: the quasi-Newton step is taken whole, up to `max_step`.
    """

    kind: ClassVar[str] = "lbfgs"

    history: int = setting(8, help="pairs of steps and gradient changes remembered", minimum=1, maximum=200)
    max_step: float = setting(0.08, help="largest root-mean-square change of a pixel in one step", above=0, maximum=1)
    first_step: float = setting(
        0.02, help="root-mean-square change of a pixel in the first step of a scale", above=0, maximum=1
    )

    def __post_init__(self) -> None:
        settings.check(self)


@dataclass(frozen=True)
class Adam:
    """Adam, Kingma and Ba 2015."""

    kind: ClassVar[str] = "adam"

    learning_rate: float = setting(0.02, help="size of a step, in units of the image's range", above=0, maximum=1)
    decay: float = setting(1.0, help="what the size of a step is multiplied by every decay_steps", above=0, maximum=1)
    decay_steps: int = setting(1, help="steps in which the size of a step decays once; it does so smoothly", minimum=1)
    beta1: float = setting(0.9, help="decay of the gradient's running mean", minimum=0, maximum=0.9999)
    beta2: float = setting(0.99, help="decay of the squared gradient's running mean", minimum=0, maximum=0.99999)
    average: float = setting(
        0.9,
        help="decay of the running mean of the images, which is the result; 0 takes the last",
        minimum=0,
        maximum=0.9999,
    )

    def __post_init__(self) -> None:
        settings.check(self)


OPTIMIZERS: Final[dict[str, type[LBFGS] | type[Adam]]] = {"lbfgs": LBFGS, "adam": Adam}

Side = Literal["long", "short", "height"]
Init = Literal["content", "matched", "noise", "style", "grey"]
INITS: Final = typing.get_args(Init)
Colors = Literal["style", "content", "luminance", "match"]
ColorMatch = Literal["monge-kantorovich", "cholesky", "pca", "symmetric", "histogram"]
Palette = Literal["free", "transported"]

# Ours: a style seen sixteen times as large as the result is a few strokes.
MOST_SCALE: Final = 16

_TERMS: Final = Content() + MeanCovariance() + TotalVariation()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a picture is painted, except the pictures themselves.

    The objective is `content_weight` x the content terms + `style_weight` x the style terms + `smoothness` x the
    smoothness terms: alpha, beta and a regulariser, each term with a weight of its own besides.

    Raises:
        RecipeError: a field is out of type or range, or a term names a layer that the network does not have.

    """

    name: str = dataclasses.field(default="custom", compare=False)
    description: str = dataclasses.field(default="", compare=False)
    size: int | Literal["original"] = setting(
        512,
        help="long side of the result in pixels (see --side), or 'original' for the photo's",
        minimum=16,
        maximum=65536,
    )
    side: Side = setting("long", help="the side that --size measures")
    content_weight: float = setting(1.0, help="how much the photo's content counts (alpha)", minimum=0)
    style_weight: float = setting(1.0, help="how much the painting's style counts (beta)", minimum=0)
    smoothness: float = setting(1.0, help="how much neighbouring pixels are kept alike (total variation)", minimum=0)
    strength: float = setting(
        1.0,
        help="from the photo (0) to the painting's statistics as far as the content allows (1)",
        minimum=0,
        maximum=1,
    )
    style_scale: float = setting(
        1.0,
        help="size of the style pictures relative to the result: larger means larger strokes",
        above=0,
        maximum=MOST_SCALE,
        also="stroke_size",
    )
    style_fit: Literal["area", "side", "original"] = setting(
        "area",
        help="what a style scale of 1 is: as many pixels as the result, the same --side, or the style's own size "
        "(if it has no more pixels than the result)",
    )
    init: Init = setting(
        "content",
        help="what the image starts as: the photo, the photo in the style's colours, white noise, "
        "noise in the style's colours, or grey with faint noise",
    )
    colors: Colors = setting(
        "style",
        help="whose colours the result has: the style's, or the photo's: given to the finished picture (content), kept "
        "while only lightness is painted (luminance), or given to the style before (match)",
    )
    color_match: ColorMatch = setting(
        "monge-kantorovich", help="how colours are matched, wherever they are: a linear map, or the whole histogram"
    )
    palette: Palette = setting(
        "free",
        help="whether the result may have colours beside the style's (free), or its colours are moved to exactly the "
        "style's where a scale begins and at the end (transported)",
    )
    seed: int = setting(0, help="seed of everything random", minimum=0, maximum=2**63 - 1)
    steps: tuple[int, ...] = setting(
        (35, 20, 15),
        help="steps at each scale, coarsest first; the last number holds for all further scales",
        minimum=1,
    )
    start_size: int | Literal["final"] = setting(
        128, help="size of the coarsest scale in pixels, or 'final' for a single scale", minimum=16, maximum=65536
    )
    scale_factor: float = setting(2.0, help="largest ratio between the sizes of two scales", minimum=1.05, maximum=16)
    detail: float = setting(
        0.0, help="how much of the photo's fine detail is put back where a larger scale begins", minimum=0, maximum=4
    )
    margin: float = setting(
        0.0,
        help="border painted around the picture and cut off at the end, as a part of its long side",
        minimum=0,
        maximum=0.5,
    )
    network: Literal["vgg16", "vgg19", "vgg19-caffe"] = setting(
        "vgg16", help="whose features are compared; see 'impasto weights list'"
    )
    activity: Literal["published", "unit-mean"] = setting(
        "published", help="the network's weights as published, or rescaled so that every filter's mean activation is 1"
    )
    pooling: Literal["max", "average", "l2"] = setting("max", help="pooling between the network's blocks")
    padding: Literal["zeros", "replicate", "reflect", "circular"] = setting(
        "reflect", help="what the network sees outside the picture; 'circular' makes pictures that tile"
    )
    bounds: Literal["projected", "free"] = setting(
        "projected", help="the image kept in [0, 1] at every step, or free and clipped when it is saved"
    )
    terms: Terms = dataclasses.field(default=_TERMS)
    optimizer: LBFGS | Adam = LBFGS()

    def __post_init__(self) -> None:
        terms = 1.0 * self.terms if isinstance(self.terms, Loss) else self.terms
        if not (isinstance(terms, tuple | list) and all(isinstance(term, Term) for term in terms)):
            raise RecipeError(
                f"terms is {short_repr(terms)}; expected weighted losses, such as 0.2 * Content() + Gram()"
            )
        object.__setattr__(self, "terms", Terms(terms))
        settings.check(self)
        if not self.steps:
            raise RecipeError("steps is empty; expected a whole number for each scale")
        if not any(self.weight_of(term) > 0 for term in self.terms):
            raise RecipeError("every term's weight is 0: there is nothing to optimise; raise a weight")
        convolutions = vgg_layers.NETWORKS[self.network]
        for term in self.terms:
            if isinstance(term.loss, LayeredLoss):
                vgg_layers.check_layers((name for name, _ in term.loss.layers), convolutions)

    def weight_of(self, term: Term) -> float:
        """Return the weight of one of the recipe's terms in the objective: its own times that of its role."""
        by_role: dict[Role, float] = {
            "content": self.content_weight,
            "style": self.style_weight,
            # At strength 0 the result is the photo itself, which must not be smoothed.
            "smoothness": self.smoothness * self.strength,
        }
        return by_role[term.loss.role] * term.weight

    @property
    def whole_only(self) -> str:
        """The reason, in a few words, why a picture cannot be computed in tiles; empty if it can."""
        if self.padding == "circular":
            return "a picture that goes on at its other side"
        kinds = self.compared_whole
        return f"the {kinds[0]} term, which needs the whole picture," if kinds else ""

    @property
    def compared_whole(self) -> tuple[str, ...]:
        """The kinds of terms that need all positions of a layer at once, and so support neither tiles nor masks."""
        return tuple(term.loss.kind for term in self.terms if self.weight_of(term) > 0 and not term.loss.tileable)

    def compares(self, role: Role) -> bool:
        """Whether a term of that role has a positive weight."""
        return any(term.loss.role == role and self.weight_of(term) > 0 for term in self.terms)

    def with_layers(self, role: Role, layers: str | Iterable[str] | Mapping[str, float]) -> "Recipe":
        """Return a recipe with other layers in its terms of a role.

        Args:
            role: `content` or `style`.
            layers: as `impasto.recipe.terms.weighted_layers` takes them.

        Raises:
            RecipeError: there is no such term or layer, or a weight is out of range.

        """
        if not any(term.loss.role == role and isinstance(term.loss, LayeredLoss) for term in self.terms):
            raise RecipeError(f"the recipe {self.name!r} has no {role} term whose layers could be chosen")
        weighted = weighted_layers(layers)
        return self.replace(
            terms=Terms(
                Term(dataclasses.replace(term.loss, layers=weighted), term.weight)
                if isinstance(term.loss, LayeredLoss) and term.loss.role == role
                else term
                for term in self.terms
            )
        )

    def replace(self, **changes: Any) -> "Recipe":
        """Return a recipe with other values in some fields.

        Raises:
            RecipeError: there is no such field, or a value is out of type or range.

        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                raise RecipeError(f"a recipe has no field {short_repr(name)}; {suggest(name, names)}")
        return dataclasses.replace(self, **changes)

    def with_settings(self, values: ReadOnlyTable) -> "Recipe":
        """Return a recipe with other values, given by name as in a recipe file, such as `optimizer.history`.

        Raises:
            RecipeError: there is no such table or field, or a value is out of type or range.

        """
        table = self.to_table()
        for key, value in values.items():
            *path, last = key.split(".")
            inner = table
            for part in path:
                if not isinstance(inner.get(part), dict):
                    raise RecipeError(f"{key}: the recipe has no table {part!r}; see 'impasto recipe show'")
                inner = inner[part]
            inner[last] = value
        return Recipe.from_table(table)

    def to_table(self) -> Table:
        """Return the recipe as plain values, as in TOML and JSON."""
        table = settings.to_table(self)
        table["terms"] = [term.to_table() for term in self.terms]
        table["optimizer"] = {"name": self.optimizer.kind, **table["optimizer"]}
        # TOML needs tables after plain values.
        for name in ("optimizer", "terms"):
            table[name] = table.pop(name)
        return table

    @classmethod
    def from_table(cls, table: ReadOnlyTable) -> "Recipe":
        """Return the recipe of a table of plain values; fields left out have their defaults.

        Raises:
            RecipeError: an unknown field, or a value out of type or range.

        """
        rest = dict(table)
        if "terms" in rest:
            if not isinstance(rest["terms"], list) or not all(isinstance(term, Mapping) for term in rest["terms"]):
                raise RecipeError("terms is not a list of tables; write each one under [[terms]]")
            rest["terms"] = Terms(Term.from_table(term) for term in rest["terms"])
        if "optimizer" in rest:
            rest["optimizer"] = _optimizer(rest["optimizer"])
        return settings.from_table(cls, rest, "a recipe")

    def to_toml(self) -> str:
        """Return the recipe as TOML, from which `from_toml` makes an equal recipe."""
        return tomli_w.dumps(self.to_table())

    @classmethod
    def from_toml(cls, text: str) -> "Recipe":
        """Return the recipe in a TOML text.

        Raises:
            RecipeError: it is not TOML, or not a recipe.

        """
        return cls.from_table(parse_toml(text))

    @property
    def digest(self) -> str:
        """SHA-256 of all values in hexadecimal, except for name and description."""
        table = self.to_table()
        del table["name"], table["description"]
        if self.palette == "free":
            # Earlier versions knew no palette; keep the digests of their recipes.
            del table["palette"]
        if isinstance(self.optimizer, LBFGS):
            # Earlier versions had a line search, and hashed its setting; keep the digests of recipes without one.
            table["optimizer"]["line_search"] = "none"
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def parse_toml(text: str) -> Table:
    """Return the table of plain values in a TOML text.

    Raises:
        RecipeError: it is not TOML.

    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # tomllib raises other errors too: for numbers of thousands of digits, or endless brackets.
        raise RecipeError(f"not TOML: {reason(error)}") from error


def _optimizer(table: object) -> LBFGS | Adam:
    if not isinstance(table, Mapping):
        raise RecipeError(f"optimizer is {short_repr(table)}; expected a table with a name and its settings")
    rest = dict(table)
    kind = rest.pop("name", None)
    if not isinstance(kind, str) or kind not in OPTIMIZERS:
        raise RecipeError(f"optimizer's name is {short_repr(kind)}; {suggest(short_repr(kind), OPTIMIZERS)}")
    # Earlier versions wrote "none" into every recipe that did not ask for a line search.
    line_search = rest.pop("line_search", "none") if kind == LBFGS.kind else "none"
    if line_search != "none":
        raise RecipeError(f"line_search is {short_repr(line_search)}; line searches were taken out, leave it out")
    return settings.from_table(OPTIMIZERS[kind], rest, f"the {kind} optimizer")
