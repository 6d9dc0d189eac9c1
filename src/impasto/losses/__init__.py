"""The arithmetic of the losses that `impasto.recipe.terms` names. One loss a file."""

from typing import Any

from impasto.losses.base import FeatureLoss, ImageLoss, MomentLoss, PhotoLoss, PositionLoss
from impasto.losses.content import Content
from impasto.losses.gram import Gram
from impasto.losses.histogram import Histogram
from impasto.losses.laplacian import Laplacian
from impasto.losses.mean_covariance import MeanCovariance
from impasto.losses.patches import CHUNK_BYTES, Patches
from impasto.losses.photorealism import Photorealism
from impasto.losses.temporal import Temporal
from impasto.losses.total_variation import TotalVariation
from impasto.losses.wasserstein import Wasserstein
from impasto.recipe import terms

AnyLoss = PositionLoss[Any] | MomentLoss[Any] | FeatureLoss[Any] | PhotoLoss[Any] | ImageLoss

__all__ = [
    "CHUNK_BYTES",
    "AnyLoss",
    "Content",
    "FeatureLoss",
    "Gram",
    "Histogram",
    "ImageLoss",
    "Laplacian",
    "MeanCovariance",
    "MomentLoss",
    "Patches",
    "PhotoLoss",
    "Photorealism",
    "PositionLoss",
    "Temporal",
    "TotalVariation",
    "Wasserstein",
    "build",
]


def build(spec: terms.Loss) -> AnyLoss:
    """Return the loss that `spec` names."""
    match spec:
        case terms.Content():
            return Content(spec)
        case terms.Gram():
            return Gram(spec)
        case terms.MeanCovariance():
            return MeanCovariance(spec)
        case terms.Wasserstein():
            return Wasserstein(spec)
        case terms.Histogram():
            return Histogram(spec)
        case terms.Patches():
            return Patches(spec)
        case terms.Laplacian():
            return Laplacian(spec)
        case terms.Photorealism():
            return Photorealism(spec)
        case terms.TotalVariation():
            return TotalVariation(spec)
    raise TypeError(f"no arithmetic for {spec!r}")
