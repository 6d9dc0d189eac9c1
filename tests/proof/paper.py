"""The losses of Gatys, Ecker and Bethge, CVPR 2016, and of two programs based on it, with derivatives by hand.

F, P, A are rectified features: N maps of M positions, given as (N, H, W). NumPy in float64, without code of impasto.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tests.proof.plain_vgg import Array, LayerLoss, Part, PlainVGG

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def matrix(features: Array) -> Array:
    """F_ij: the i-th filter at position j. Section 2, "Deep image representations"."""
    return features.reshape(features.shape[0], -1)


def content_loss(f: Array, p: Array) -> float:
    # Equation 1: L_content = 1/2 sum_ij (F_ij - P_ij)^2
    return 0.5 * float(((f - p) ** 2).sum())


def content_slope(f: Array, p: Array) -> Array:
    # Equation 2: dL_content / dF_ij = (F - P)_ij if F_ij > 0, 0 if F_ij < 0
    return np.where(f > 0, f - p, 0.0)


def gram(f: Array) -> Array:
    # Equation 3: G_ij = sum_k F_ik F_jk
    return matrix(f) @ matrix(f).T


def style_loss(f: Array, a: Array) -> float:
    # Equation 4: E_l = 1 / (4 N_l^2 M_l^2) sum_ij (G_ij - A_ij)^2
    n, m = matrix(f).shape
    return float(float(((gram(f) - gram(a)) ** 2).sum()) / (4 * n**2 * m**2))


def style_slope(f: Array, a: Array) -> Array:
    # Equation 6: dE_l / dF_ij = 1 / (N_l^2 M_l^2) (F^T (G - A))_ji if F_ij > 0, 0 if F_ij < 0
    n, m = matrix(f).shape
    slope = (matrix(f).T @ (gram(f) - gram(a))).T / (n**2 * m**2)
    return np.where(f > 0, slope.reshape(f.shape), 0.0)


def style_loss_of_sizes(f: Array, a: Array) -> float:
    # Equation 4 for pictures of two sizes, each Gram matrix divided by its own M: 1 / (4 N^2) sum (G / M - A / M_a)^2
    n, m = matrix(f).shape
    return float(float(((gram(f) / m - gram(a) / matrix(a).shape[1]) ** 2).sum()) / (4 * n**2))


def style_slope_of_sizes(f: Array, a: Array) -> Array:
    # Its derivative: 1 / (N^2 M) (F^T (G / M - A / M_a))_ji if F_ij > 0, 0 if F_ij < 0
    n, m = matrix(f).shape
    slope = (matrix(f).T @ (gram(f) / m - gram(a) / matrix(a).shape[1])).T / (n**2 * m)
    return np.where(f > 0, slope.reshape(f.shape), 0.0)


def content_part(p: Array) -> LayerLoss:
    return lambda f: (content_loss(f, p), content_slope(f, p))


def style_part(a: Array, *, own_size: bool) -> LayerLoss:
    if own_size:
        return lambda f: (style_loss_of_sizes(f, a), style_slope_of_sizes(f, a))
    return lambda f: (style_loss(f, a), style_slope(f, a))


def paper_parts(
    network: PlainVGG,
    p: Array,
    a: Array,
    *,
    alpha: float,
    beta: float,
    content: Sequence[str],
    style: Mapping[str, float],
    own_size: bool = False,
) -> list[Part]:
    """Return the parts that add up to L_total.

    Args:
        network: whose features are compared.
        p, a: the photo and the painting, (3, H, W).
        alpha, beta: the weights of content and style.
        content: layers compared by content.
        style: layers compared by style, and their weights w_l.
        own_size: divide each Gram matrix by its own M, for pictures of two sizes.

    """
    photo, painting = network.forward(p)[0], network.forward(a)[0]
    # Equation 7: L_total = alpha L_content + beta L_style
    parts: list[Part] = [(layer, alpha, content_part(photo[layer])) for layer in content]
    # Equation 5: L_style = sum_l w_l E_l
    return parts + [(layer, beta * w, style_part(painting[layer], own_size=own_size)) for layer, w in style.items()]


def mean_content_part(p: Array) -> LayerLoss:
    # nn.MSECriterion: the mean over all elements of (F - P)^2
    return lambda f: (float(((f - p) ** 2).mean()), np.where(f > 0, 2 * (f - p) / f.size, 0.0))


def mean_gram_part(a: Array) -> LayerLoss:
    def part(f: Array) -> tuple[float, Array]:
        # `self.G:div(input:nElement())`, the Gram matrix by N M, then nn.MSECriterion over its N^2 elements
        difference = gram(f) / f.size - gram(a) / a.size
        # d mean(D^2) = 2 / N^2 sum D dG / (N M), and dG = dF F^T + F dF^T for symmetric D
        slope = 4 * (difference @ matrix(f)).reshape(f.shape) / (len(f) ** 2 * f.size)
        return float((difference**2).mean()), np.where(f > 0, slope, 0.0)

    return part


def total_variation(x: Array) -> tuple[float, Array]:
    """Return sum |dx| + sum |dy| of the image in 0..255, and its derivative by the image in [0, 1]."""
    pixels = 255 * x
    across, down = pixels[:, :, 1:] - pixels[:, :, :-1], pixels[:, 1:] - pixels[:, :-1]
    slope = np.zeros_like(x)
    slope[:, :, 1:] += np.sign(across)
    slope[:, :, :-1] -= np.sign(across)
    slope[:, 1:] += np.sign(down)
    slope[:, :-1] -= np.sign(down)
    return float(np.abs(across).sum() + np.abs(down).sum()), 255 * slope


def neural_style_parts(network: PlainVGG, p: Array, a: Array) -> list[Part]:
    """Return the parts of the loss of neural-style and neural-style-pt, without total variation."""
    photo, painting = network.forward(p)[0], network.forward(a)[0]
    # neural_style.py: -content_weight 5e0, -style_weight 1e2 at each layer
    parts: list[Part] = [("relu4_2", 5.0, mean_content_part(photo["relu4_2"]))]
    return parts + [(layer, 100.0, mean_gram_part(painting[layer])) for layer in STYLE_LAYERS]


def keras_style_part(a: Array, pixels: int) -> LayerLoss:
    def part(f: Array) -> tuple[float, Array]:
        # style_loss: sum (S - C)^2 / (4 channels^2 combination_size^2), the size that of the image at every layer
        difference = gram(f) - gram(a)
        scale = 4 * len(f) ** 2 * pixels**2
        slope = 4 * (difference @ matrix(f)).reshape(f.shape) / scale
        return float((difference**2).sum()) / scale, np.where(f > 0, slope, 0.0)

    return part


def keras_parts(network: PlainVGG, p: Array, a: Array) -> list[Part]:
    """Return the parts of the loss of the Keras program that the project started from, for pictures of one size."""
    photo, painting = network.forward(p)[0], network.forward(a)[0]
    pixels = p.shape[1] * p.shape[2]
    # main.py: CONTENT_WEIGHT 8e-4 at block5_conv2, STYLE_WEIGHT 8e-1 over the number of layers
    parts: list[Part] = [("relu5_2", 8e-4, content_part(photo["relu5_2"]))]
    w = 8e-1 / len(STYLE_LAYERS)
    return parts + [(layer, w, keras_style_part(painting[layer], pixels)) for layer in STYLE_LAYERS]
