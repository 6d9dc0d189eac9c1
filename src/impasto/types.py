"""The shapes that cross module borders, named once.

B: pictures in a batch, C: channels, H, W: rows and columns. Checked by beartype in the tests only.
"""

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor

Image: TypeAlias = Float[Tensor, "B 3 H W"]  # sRGB in [0, 1]
Features: TypeAlias = Float[Tensor, "B C H W"]  # what a network says of an image, any range
Count: TypeAlias = Float[Tensor, "B"]
Vector: TypeAlias = Float[Tensor, "B C"]
Matrix: TypeAlias = Float[Tensor, "B C C"]
Scalar: TypeAlias = Float[Tensor, ""]
