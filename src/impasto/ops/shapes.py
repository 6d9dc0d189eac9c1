"""The shapes that cross module borders, named once.

B: pictures in a batch, C: channels, H, W: rows and columns of pixels, h, w: of features. Checked by beartype in the
tests only.
"""

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor

Image: TypeAlias = Float[Tensor, "B 3 H W"]  # sRGB in [0, 1]
Planes: TypeAlias = Float[Tensor, "B C H W"]  # an image, or its alpha, in [0, 1]
Mask: TypeAlias = Float[Tensor, "1 1 _ _"]  # how much each position counts, in [0, 1]; of several, each its own size
Lightness: TypeAlias = Float[Tensor, "B 1 H W"]  # OKLab's L in [0, 1]
Resized: TypeAlias = Float[Tensor, "B C h w"]  # the same at another size
Features: TypeAlias = Float[Tensor, "B C h w"]  # what a network says of an image, any range
AnyImage: TypeAlias = Float[Tensor, "B 3 _ _"]  # of several images, each of its own size
AnyFeatures: TypeAlias = Float[Tensor, "B _ _ _"]  # of several pictures, each of its own size
LayerFeatures: TypeAlias = dict[str, Float[Tensor, "B _ _ _"]]  # by layer, each of its own size
Count: TypeAlias = Float[Tensor, "B"]
Vector: TypeAlias = Float[Tensor, "B C"]
Matrix: TypeAlias = Float[Tensor, "B C C"]
Scalar: TypeAlias = Float[Tensor, ""]
OutFeatures: TypeAlias = Float[Tensor, "B D p q"]  # what a layer makes of features
