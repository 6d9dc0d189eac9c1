"""VGG-16 without weights, as a list of standard layers."""

from .alexnet import alexnet
from .vgg import VGG, vgg16

__all__ = ["VGG", "alexnet", "vgg16"]
