"""The number of arithmetic operations of a step by the definition of a convolution; fast algorithms need fewer."""

import math

from impasto.recipe import Recipe, vgg_layers
from impasto.recipe.terms import Content, LayeredLoss


def step_operations(recipe: Recipe, height: int, width: int) -> int:
    """Return the operations of one step on a canvas, a multiply-add being two.

    These are the network's convolutions up to the deepest layer and the sums of outer products of the style's layers,
    forward and backward. The backward pass has as many operations as the forward pass, because no gradient of the
    weights is computed.

    Args:
        recipe: its terms name the layers.
        height: of the canvas, the margin included, in pixels.
        width: likewise.

    """
    terms = [term.loss for term in recipe.terms if isinstance(term.loss, LayeredLoss) and recipe.weight_of(term) > 0]
    wanted = {name for loss in terms for name, _ in loss.layers}
    styled = {name for loss in terms if not isinstance(loss, Content) for name, _ in loss.layers}
    convolutions = vgg_layers.NETWORKS[recipe.network]
    known = vgg_layers.layers(convolutions)
    multiplications = height * width * 3**2 if vgg_layers.PIXELS in styled else 0
    left = wanted - {vgg_layers.PIXELS}
    for convolution in convolutions:
        if not left:
            break
        stride = known[convolution.name].stride
        positions = math.ceil(height / stride) * math.ceil(width / stride)
        multiplications += convolution.in_channels * convolution.out_channels * 9 * positions
        here = {convolution.name, convolution.rectified}
        multiplications += len(here & styled) * convolution.out_channels**2 * positions
        left -= here
    return 2 * 2 * multiplications
