"""Which weights impasto carries, and what a file must hold to be accepted."""

from dataclasses import dataclass
from typing import Final

from impasto.architecture import NETWORKS, Convolution


@dataclass(frozen=True)
class WeightsSpec:
    """One set of weights."""

    name: str
    file: str
    sha256: str
    convolutions: tuple[Convolution, ...]
    mean_bgr: tuple[float, float, float]  # subtracted from BGR input in 0..255
    attribution: str


EMBEDDED: Final = {
    "vgg16": WeightsSpec(
        name="vgg16",
        file="vgg16.safetensors",
        sha256="6261bd27df3aba147d6c344266c40e721bf8e5af8fa9b7934d83dbfd6ae16895",
        convolutions=NETWORKS["vgg16"],
        # The mean of the ImageNet training images, subtracted by the authors' Caffe models.
        mean_bgr=(103.939, 116.779, 123.68),
        attribution=(
            "VGG-16 by Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of Oxford, CC BY 4.0; "
            "the thirteen convolutions, rounded to float16"
        ),
    ),
}
