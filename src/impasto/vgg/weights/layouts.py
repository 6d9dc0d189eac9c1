"""Arranging tensors by impasto's names, and recognising weights by layer names and first values."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from torch import Tensor

from impasto.recipe.vgg_layers import NETWORKS, Convolution
from impasto.system.text import printable
from impasto.vgg.weights.reading import find_misfit
from impasto.vgg.weights.spec import CAFFE, WeightsSpec, architecture_name


class LayerNaming(NamedTuple):
    """A convention for the names of layers."""

    title: str
    names: Callable[[Sequence[Convolution]], list[str]]  # returns the names of the convolutions, in order
    others: tuple[str, ...]  # prefixes of layers that impasto does not need
    oxford: bool  # used only for the original weights


def _positions(convolutions: Sequence[Convolution]) -> list[str]:
    # torchvision/models/vgg.py, make_layers: a convolution and its ReLU take a place each, a pooling one.
    names, place, block = [], 0, convolutions[0].block
    for convolution in convolutions:
        if convolution.block != block:
            place, block = place + 1, convolution.block
        names.append(f"features.{place}")
        place += 2
    return names


LAYOUTS: Final = (
    # torchvision, and what was converted for it, such as neural-style-pt's; timm ends in pre_logits and head.
    LayerNaming("torchvision's", _positions, ("classifier.", "pre_logits.", "head."), oxford=False),
    # Caffe's own names, as in Gatys' vgg_conv.pth.
    LayerNaming("Caffe's", lambda layers: [layer.name for layer in layers], ("fc6.", "fc7.", "fc8."), oxford=True),
    # Keras, whose only VGGs are Oxford's (keras/applications/vgg19.py); the top layers were left out when reading.
    LayerNaming(
        "Keras'",
        lambda layers: [layer.name.replace("conv", "block").replace("_", "_conv") for layer in layers],
        (),
        True,
    ),
)


class ArrangedTensors(NamedTuple):
    """Tensors by impasto's names, or the reason why there are none."""

    layout: LayerNaming | None
    tensors: dict[str, Tensor]
    problem: str | None = None


def arrange(tensors: Mapping[str, Tensor], spec: WeightsSpec) -> ArrangedTensors:
    """Return the convolutions of `spec` in `tensors`, by impasto's names: float32, contiguous and finite.

    What makes it fail is in `problem`: another architecture, a missing or additional layer, another shape, a number
    that is not finite.
    """
    for layout in LAYOUTS:
        first = layout.names(spec.convolutions)[0]
        if f"{first}.weight" not in tensors:
            continue
        names = dict(zip(layout.names(spec.convolutions), spec.convolutions, strict=True))
        arranged = {}
        for key, tensor in tensors.items():
            layer, _, part = key.rpartition(".")
            if layer in names:
                arranged[f"{names[layer].name}.{part}"] = tensor
            elif not key.startswith(layout.others or ("-",)):
                arranged[key] = tensor
        problem = find_misfit(arranged, spec)
        if problem is None:
            return ArrangedTensors(layout, {key: tensor.float().contiguous() for key, tensor in arranged.items()})
        other = _other_architecture(tensors, layout, spec)
        return ArrangedTensors(layout, {}, f"holds {other}, not {spec.architecture}" if other else problem)
    sample = printable(next(iter(tensors), "nothing"))[:60]
    return ArrangedTensors(None, {}, f"holds {sample} and no layers of a VGG by torchvision's, Caffe's or Keras' names")


def _other_architecture(tensors: Mapping[str, Tensor], layout: LayerNaming, spec: WeightsSpec) -> str | None:
    have = {key.removesuffix(".weight") for key in tensors if key.endswith(".weight")}
    have -= {key for key in have if layout.others and key.startswith(layout.others)}
    for convolutions in set(NETWORKS.values()) - {spec.convolutions}:
        if have == set(layout.names(convolutions)):
            return architecture_name(convolutions)
    return None


def by_corner(tensors: Mapping[str, Tensor], specs: Iterable[WeightsSpec]) -> WeightsSpec | None:
    """Return the published weights that the arranged `tensors` are, by the first values of the first kernel.

    No statistic tells the two VGG-19 apart reliably, since both were initialised alike. The values do: three of them
    agree by chance in no other network.
    """
    for spec in specs:
        kernel = tensors[f"{spec.convolutions[0].name}.weight"]
        # Three digits: printed numbers are rounded, and a file may be in float16.
        if spec.corner and all(
            math.isclose(value, expected, rel_tol=2e-3)
            for value, expected in zip(kernel[0, :, 0, 0].tolist(), spec.corner, strict=True)
        ):
            return spec
    return None


def by_layout(layout: LayerNaming | None, specs: Iterable[WeightsSpec]) -> WeightsSpec | None:
    """Return Oxford's weights if nobody else uses this convention."""
    if layout is None or not layout.oxford:
        return None
    return next((spec for spec in specs if spec.convention == CAFFE), None)
