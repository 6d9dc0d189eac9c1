"""The terms of an objective: losses by name, weighted and added. `impasto.losses` computes them.

>>> terms = 0.1 * Content("relu4_2") + MeanCovariance({"relu1_1": 0.6, "relu2_1": 0.4}) + 0.2 * TotalVariation()
>>> [term.label for term in terms]
['content relu4_2', 'mean-covariance relu1_1 relu2_1', 'smoothness']


Terms are plain data: they print, compare, and are stored in recipe files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from impasto.errors import RecipeError, suggest
from impasto.recipe import settings
from impasto.recipe.settings import Setting, setting, short_repr
from impasto.system.tables import ReadOnlyTable, Table

Role = Literal["content", "style", "smoothness"]

# Gatys et al. 2016, section 3: style at conv1_1 .. conv5_1 (rectified).
STYLE_LAYERS: Final = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

LayerWeights = tuple[tuple[str, float], ...]
# What `weighted_layers` takes.
LayerChoice = str | Iterable[str] | Mapping[str, float] | LayerWeights

if TYPE_CHECKING:

    class Layers:
        """The type of a field that is given as a `LayerChoice` and holds `LayerWeights`."""

        def __get__(self, loss: object, owner: type) -> LayerWeights: ...

        def __set__(self, loss: object, layers: LayerChoice) -> None: ...

else:
    Layers = LayerWeights


@dataclass(frozen=True)
class Loss:
    """Base of all losses: it can be weighted and added. Each subclass is final.

    Attributes:
        role: names the weight of the recipe that multiplies it.
        kind: its name in recipe files.
        tileable: whether it can be computed tile by tile.

    """

    role: ClassVar[Role]
    kind: ClassVar[str]
    tileable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settings.check(self)

    def __rmul__(self, weight: float) -> "Terms":
        return Terms((Term(self, weight),))

    def __add__(self, other: "Loss | Terms") -> "Terms":
        return 1.0 * self + other


def weighted_layers(layers: LayerChoice) -> LayerWeights:
    """Return layers with their weights w_l.

    >>> weighted_layers(("relu1_1", "relu2_1"))
    (('relu1_1', 0.5), ('relu2_1', 0.5))

    Args:
        layers: one name; several names, with equal weights that sum to 1 (the paper's w_l = 1/5); or a mapping or pairs
            of names and weights, which are not rescaled.

    Raises:
        RecipeError: no layer, a layer twice, a negative weight, or a value of another kind.

    """
    if isinstance(layers, str):
        layers = (layers,)
    if not isinstance(layers, Iterable):
        raise RecipeError(f"layers is {short_repr(layers)}; expected names, or names with their weights")
    entries: list[object] = list(layers.items() if isinstance(layers, Mapping) else layers)
    pairs = tuple((entry, 1 / len(entries)) if isinstance(entry, str) else entry for entry in entries)
    checked: LayerWeights = settings.checked_value(pairs, LayerWeights, Setting("", minimum=0), "layers")
    names = [name for name, _ in checked]
    if not names or len(set(names)) < len(names):
        raise RecipeError(f"layers are {names}; expected at least one, and none twice")
    return checked


@dataclass(frozen=True)
class LayeredLoss(Loss):
    """Base of the losses that compare features. Each subclass is final."""

    layers: Layers = setting(STYLE_LAYERS, help="layers, or layers with their weights")

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", weighted_layers(self.layers))
        settings.check(self)


@dataclass(frozen=True)
class Content(LayeredLoss):
    """Squared distance between the features F of the image and P of the photo, N channels x M positions.

    `literal`: 1/2 sum (F - P)^2, Gatys et al. 2016, equation 1. `mean`: sum (F - P)^2 / (N M). `relative`: sum (F -
    P)^2 / sum P^2, which has no unit, so that a weight means the same at every layer and in every network.
    `normalized`: the mean form with every channel of F and P normalized to mean 0 and variance 1 over its positions
    first, as in Huang and Belongie 2017's AdaIN; it is the mean over channels of 2 (1 - correlation). Ours as a content
    loss: it keeps the places at which a channel is active, and leaves the strength of its activity to the style.
    """

    role: ClassVar[Role] = "content"
    kind: ClassVar[str] = "content"

    # Gatys et al. 2016, section 3: content at conv4_2 (rectified).
    layers: Layers = setting(("relu4_2",), help="layers, or layers with their weights")
    form: Literal["literal", "mean", "relative", "normalized"] = setting("relative", help="how the distance is scaled")


@dataclass(frozen=True)
class Gram(LayeredLoss):
    """Squared distance between Gram matrices per position, G / M and A / M.

    `literal`: sum (G/M - A/M)^2 / (4 N^2), Gatys et al. 2016, equation 4; for pictures of one size it is exactly the
    paper's E_l, for others each Gram matrix is divided by its own M. `mean`: sum (G/M - A/M)^2 / N^2. `relative`: ||G/M
    - A/M||^2 / ||A/M||^2.
    """

    role: ClassVar[Role] = "style"
    kind: ClassVar[str] = "gram"

    form: Literal["literal", "mean", "relative"] = setting("relative", help="how the distance is scaled")


@dataclass(frozen=True)
class MeanCovariance(LayeredLoss):
    """Squared distances between the features' means and between their covariances, each relative to the style's own.

    ||mu - mu_s||^2 / ||mu_s||^2 + ||C - C_s||_F^2 / ||C_s||_F^2. Ours: mean and covariance separate what the Gram
    matrix C + mu mu^T mixes, and the relative scale makes each layer count by its weight alone.
    """

    role: ClassVar[Role] = "style"
    kind: ClassVar[str] = "mean-covariance"


@dataclass(frozen=True)
class Wasserstein(LayeredLoss):
    """Squared Wasserstein-2 distance between Gaussians fitted to the features of the image and of the style.

    ||mu - mu_s||^2 + tr(C + C_s - 2 (C_s^1/2 C C_s^1/2)^1/2). `mean` divides it by the number of channels, as
    crowsonkb's style-transfer-pytorch does; `relative` by ||mu_s||^2 + tr C_s.
    """

    role: ClassVar[Role] = "style"
    kind: ClassVar[str] = "wasserstein"

    form: Literal["mean", "relative"] = setting("relative", help="how the distance is scaled")


@dataclass(frozen=True)
class TotalVariation(Loss):
    """Total variation: the differences between neighbouring pixels, sRGB in [0, 1].

    `squared`: mean squared horizontal difference plus mean squared vertical difference. `absolute`: the same with
    absolute differences, Rudin, Osher and Fatemi 1992 in the anisotropic form. `sum`: the sum of all absolute
    differences, sRGB in 0..255, as in neural-style-pt; it grows with the picture.
    """

    role: ClassVar[Role] = "smoothness"
    kind: ClassVar[str] = "smoothness"

    form: Literal["squared", "absolute", "sum"] = setting("squared", help="how differences are measured")


@dataclass(frozen=True)
class Histogram(LayeredLoss):
    """Squared distance between each channel's values and the style's, both sorted.

    mean (F - H)^2 / mean S^2. H contains, in each channel, as many quantiles of the style as F has positions, each at
    the position at which F has the value of the same rank; these are the nearest features with the style's histograms.
    Risser, Wilmot and Barnes 2017, "Stable and Controllable Neural Texture Synthesis and Style Transfer Using Histogram
    Losses"; sorting all values instead of binning them, and the relative scale, are ours. The histograms of several
    styles are mixed by their weights. It needs all positions at once.
    """

    role: ClassVar[Role] = "style"
    kind: ClassVar[str] = "histogram"
    tileable: ClassVar[bool] = False

    # Risser, Wilmot and Barnes 2017: relu1_1 and relu4_1.
    layers: Layers = setting(("relu1_1", "relu4_1"), help="layers, or layers with their weights")


@dataclass(frozen=True)
class Patches(LayeredLoss):
    """Cosine distance of each patch of the features to the nearest patch of the style: 0 if equal, 2 if opposite.

    mean over positions i of min over j of 1 - cos(F_i - mean F, S_j - mean S). Matching patches of features is from Li
    and Wand 2016, cosines of centred features from Kolkin et al. 2022, "Neural Neighbor Style Transfer". Neighbours are
    searched in every evaluation, among all styles alike: any weight above 0 counts the same. It needs all positions at
    once, and time that grows with the square of their number.
    """

    role: ClassVar[Role] = "style"
    kind: ClassVar[str] = "patches"
    tileable: ClassVar[bool] = False

    # Li and Wand 2016: relu3_1 and relu4_1.
    layers: Layers = setting(("relu3_1", "relu4_1"), help="layers, or layers with their weights")
    # Kolkin et al. 2022: single positions; Li and Wand 2016: 3.
    patch: int = setting(1, help="side of the patches compared, in positions", minimum=1, maximum=5)


@dataclass(frozen=True)
class Laplacian(Loss):
    """Squared distance between the Laplacians of image and photo, both averaged over squares of pixels first.

    sum (L - L_p)^2 / sum L_p^2, where L is each channel's difference between a pixel's four neighbours and itself,
    sRGB: Li, Xu, Nie and Liu 2017, "Laplacian-Steered Neural Style Transfer". It keeps lines and edges in place. The
    relative scale is ours.
    """

    role: ClassVar[Role] = "content"
    kind: ClassVar[str] = "laplacian"

    # Li, Xu, Nie and Liu 2017: pooled by 4, or by 4 and 16.
    pool: int = setting(4, help="side in pixels of the squares averaged first", minimum=1, maximum=256)


@dataclass(frozen=True)
class Photorealism(Loss):
    """Residual of the best affine map from the photo's colours to the image's in each window of 3 x 3 pixels.

    sum over channels of V^T M V with the matting Laplacian M of the photo, Levin, Lischinski and Weiss 2008, as in Luan
    et al. 2017, "Deep Photo Style Transfer"; divided by channels x windows x 9, so a mean square, sRGB in [0, 1]. A map
    with slopes a costs epsilon |a|^2 in each window, so the loss of the photo itself is small, but not 0.
    """

    role: ClassVar[Role] = "content"
    kind: ClassVar[str] = "photorealism"

    # Levin et al.'s code and, from it, Luan et al.'s: 1e-7, for colours in [0, 1].
    epsilon: float = setting(
        1e-7, help="what a steep map costs: at 1e-4 the noise of an even sky makes no colours", above=0, maximum=1
    )


LOSSES: Final[dict[str, type[Loss]]] = {
    loss.kind: loss
    for loss in (
        Content,
        Gram,
        MeanCovariance,
        Wasserstein,
        Histogram,
        Patches,
        Laplacian,
        Photorealism,
        TotalVariation,
    )
}


@dataclass(frozen=True)
class Term:
    """A loss and its weight."""

    loss: Loss
    weight: float = setting(1.0, help="weight of the loss", minimum=0)

    def __post_init__(self) -> None:
        settings.check(self)

    @property
    def label(self) -> str:
        """The label in reports: the kind of loss, and its layers if it has any."""
        if isinstance(self.loss, LayeredLoss):
            return f"{self.loss.kind} {' '.join(name for name, _ in self.loss.layers)}"
        return self.loss.kind

    def to_table(self) -> Table:
        """Return the term as plain values."""
        table: Table = {"loss": self.loss.kind, "weight": self.weight, **settings.to_table(self.loss)}
        if isinstance(self.loss, LayeredLoss):
            table["layers"] = dict(self.loss.layers)
        return table

    @classmethod
    def from_table(cls, table: ReadOnlyTable) -> "Term":
        """Return the term of a table of plain values.

        Raises:
            RecipeError: an unknown loss or field, or a value out of type or range.

        """
        rest = dict(table)
        kind, weight = rest.pop("loss", None), rest.pop("weight", 1.0)
        if not isinstance(kind, str) or kind not in LOSSES:
            raise RecipeError(f"a term's loss is {short_repr(kind)}; {suggest(short_repr(kind), LOSSES)}")
        return cls(settings.from_table(LOSSES[kind], rest, f"the {kind} term"), weight)


class Terms(tuple[Term, ...]):
    """Weighted losses, to be added."""

    __slots__ = ()

    def __add__(self, other: "Loss | Iterable[Term]") -> "Terms":  # type: ignore[override]
        return Terms((*self, Term(other)) if isinstance(other, Loss) else (*self, *other))
