"""The programs whose weights can be converted, each with its source."""

from typing import Final

from impasto.errors import RecipeError, suggest
from impasto.recipe.conventions.convention import CoefficientContext, Convention, Size, TotalVariationForm


def named(name: str) -> Convention:
    """Return the convention of a program.

    Raises:
        RecipeError: there is none of that name.

    """
    if name not in CONVENTIONS:
        raise RecipeError(f"there is no program {name!r}; {suggest(name, CONVENTIONS)}")
    return CONVENTIONS[name]


def _mean(place: CoefficientContext) -> float:
    del place
    return 1.0


def _half_sum(place: CoefficientContext) -> float:
    # Gatys et al. 2016, equation 1: 1/2 sum (F - P)^2.
    return place.channels * place.positions / 2


def _mean_over_layers(place: CoefficientContext) -> float:
    return 1 / place.layers


def _literal_gram(place: CoefficientContext) -> float:
    # Gatys et al. 2016, equations 4 and 5 with equal w_l: 1 / (4 N^2 M^2) sum (G - A)^2.
    return 1 / (4 * place.layers)


def _gram_over_pixels(place: CoefficientContext) -> float:
    # The same with the image's H W for M.
    return _literal_gram(place) * (place.positions / place.pixels) ** 2


def _gram_over_channels(place: CoefficientContext) -> float:
    # The mean over N^2 entries of squared differences between Gram matrices that were divided by N M, not by M.
    return 1 / place.channels**2


def _as_it_is(size: Size) -> float:
    del size
    return 1.0


def _scaled_sum(size: Size) -> float:
    # neural_style.py, preprocess: pixels in [0, 1] times 256; `TotalVariation(form="sum")` has them in 0..255.
    del size
    return 256 / 255


def _half_sum_of_squares(size: Size) -> float:
    # neural_style.lua, TVLoss: the gradient of 1/2 sum (dx^2 + dy^2) over 3 channels, preprocessed as above. There are
    # H (W - 1) differences dx and (H - 1) W differences dy, in a square the same number: this is the mean of the two.
    return 256**2 / 2 * 3 * (size.height * size.width - (size.height + size.width) / 2)


_ALL = (
    Convention(
        name="paper",
        title="Gatys, Ecker and Bethge, CVPR 2016",
        source="equations 1, 4, 5 and 7",
        content=_half_sum,
        style=_literal_gram,
        content_formula="alpha N M / 2",
        style_formula="beta w_l / 4",
        # Figures 4, 5 and 6: alpha / beta = 1e-3. Only the ratio is given.
        content_weight=1e-3,
        style_weight=1.0,
        network="vgg19-caffe",
        activity="unit-mean",
    ),
    Convention(
        name="neural-style",
        title="Johnson's neural-style (Torch)",
        source="github.com/jcjohnson/neural-style, neural_style.lua",
        content=_mean,
        style=_gram_over_channels,
        content_formula="content_weight",
        style_formula="style_weight / N^2",
        # neural_style.lua: the defaults of -content_weight, -style_weight and -tv_weight.
        content_weight=5.0,
        style_weight=100.0,
        tv_weight=1e-3,
        variations=(TotalVariationForm("squared", _half_sum_of_squares, "leaves out the last row and column"),),
        weighs_layers=False,
        network="vgg19-caffe",
    ),
    Convention(
        name="neural-style-pt",
        title="ProGamerGov's neural-style-pt",
        source="github.com/ProGamerGov/neural-style-pt, neural_style.py",
        content=_mean,
        style=_gram_over_channels,
        content_formula="content_weight",
        style_formula="style_weight / N^2",
        # neural_style.py: the defaults of -content_weight, -style_weight and -tv_weight.
        content_weight=5.0,
        style_weight=100.0,
        tv_weight=1e-3,
        variations=(TotalVariationForm("sum", _scaled_sum),),
        weighs_layers=False,
        network="vgg19-caffe",
        rounds="down",
    ),
    Convention(
        name="gatys-notebook",
        title="Gatys' notebooks, original VGG-19",
        source="github.com/leongatys/NeuralImageSynthesis, BasicStyleTransfer.ipynb; PytorchNeuralStyleTransfer",
        content=_mean,
        style=_gram_over_channels,
        content_formula="cw",
        style_formula="sw / N^2",
        # BasicStyleTransfer.ipynb, "for the original vgg-19 net": cw = 1, sw = 1e3.
        content_weight=1.0,
        style_weight=1e3,
        network="vgg19-caffe",
    ),
    Convention(
        name="gatys-notebook-normalised",
        title="Gatys' notebook, normalised VGG-19",
        source="github.com/leongatys/NeuralImageSynthesis, BasicStyleTransfer.ipynb",
        content=_mean,
        style=_mean_over_layers,
        content_formula="cw",
        style_formula="sw / 5",
        # BasicStyleTransfer.ipynb, "for the normalised vgg-19 net": cw = 1e6, sw = 1e9 / (number of style layers).
        content_weight=1e6,
        style_weight=1e9,
        network="vgg19-caffe",
        activity="unit-mean",
    ),
    Convention(
        name="pystiche",
        title="pystiche, its first example",
        source="github.com/pystiche/pystiche, example_nst_with_pystiche.py",
        content=_mean,
        style=_mean_over_layers,
        content_formula="content_weight",
        style_formula="style_weight / 5",
        # example_nst_with_pystiche.py: content_weight, style_weight.
        content_weight=1.0,
        style_weight=1e3,
        network="vgg19",
        rounds="down",
    ),
    Convention(
        name="keras-seed",
        title="the Keras program impasto started from",
        source="its README and code",
        content=_half_sum,
        style=_gram_over_pixels,
        content_formula="content_weight N M / 2",
        style_formula="style_weight / 5 / 4 (M / (H W))^2",
        # README, caption of the result: content_weight 8e-4, style_weight 8e-1.
        content_weight=8e-4,
        style_weight=0.8,
        # Its code: block5_conv2, whose output Keras rectifies.
        content_layer="relu5_2",
        weighs_layers=False,
        network="vgg19-caffe",
        # Keras' MaxPooling2D drops an odd last row or column.
        rounds="down",
    ),
    Convention(
        name="impasto",
        title='impasto, terms with form = "mean"',
        source="impasto.recipe.terms: Content, Gram, TotalVariation",
        content=_mean,
        style=_mean_over_layers,
        content_formula="content_weight",
        style_formula="style_weight w_l",
        variations=(TotalVariationForm("sum", _as_it_is), TotalVariationForm("squared", _as_it_is)),
    ),
)

CONVENTIONS: Final = {convention.name: convention for convention in _ALL}
