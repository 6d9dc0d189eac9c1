"""The shapes of tensors that cross module borders, named once; beartype checks them in the tests only.

B: pictures in a batch, C: channels, H, W: rows and columns of pixels, h, w: rows and columns of features.
"""

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor

Image: TypeAlias = Float[Tensor, "B 3 H W"]  # sRGB in [0, 1]
Planes: TypeAlias = Float[Tensor, "B C H W"]  # an image, or its alpha, in [0, 1]
Mask: TypeAlias = Float[Tensor, "1 1 _ _"]  # weights of positions, in [0, 1]
Lightness: TypeAlias = Float[Tensor, "B 1 H W"]  # OKLab's L in [0, 1]
Resized: TypeAlias = Float[Tensor, "B C h w"]  # the same at another size
Features: TypeAlias = Float[Tensor, "B C h w"]  # of a network at one layer, any range
AnyImage: TypeAlias = Float[Tensor, "B 3 _ _"]  # for several images, each of its own size
AnyFeatures: TypeAlias = Float[Tensor, "B _ _ _"]  # for several pictures, each of its own size
LayerFeatures: TypeAlias = dict[str, Float[Tensor, "B _ _ _"]]  # by layer, each of its own size
Count: TypeAlias = Float[Tensor, "B"]
Vector: TypeAlias = Float[Tensor, "B C"]
Matrix: TypeAlias = Float[Tensor, "B C C"]
Scalar: TypeAlias = Float[Tensor, ""]
OutFeatures: TypeAlias = Float[Tensor, "B D p q"]  # the output of a layer
