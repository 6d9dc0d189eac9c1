"""The weights that impasto knows: their publishers, hashes and pixel conventions. No torch."""

from dataclasses import dataclass
from typing import Final, Literal, final

from impasto.errors import WeightsError, suggest
from impasto.recipe.vgg_layers import NETWORKS, Convolution
from impasto.system.tables import Table

Triple = tuple[float, float, float]


@final
@dataclass(frozen=True)
class PixelConvention:
    """The pixels that weights were trained on: (pixel x `white` - `mean`) / `std`, with pixels in [0, 1]."""

    order: Literal["RGB", "BGR"]
    white: float  # the value of a white pixel: 1 or 255
    mean: Triple  # in the channel order and range above
    std: Triple

    def table(self) -> Table:
        """Return the convention as plain values for JSON."""
        return {"order": self.order, "white": self.white, "mean": list(self.mean), "std": list(self.std)}


# The mean of the ImageNet training images, subtracted by the authors' Caffe models (Simonyan and Zisserman 2015, 2.1).
CAFFE: Final = PixelConvention("BGR", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))

# torchvision's documentation of VGG19_Weights.IMAGENET1K_V1.
TORCHVISION: Final = PixelConvention("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@final
@dataclass(frozen=True)
class Embedded:
    """A file inside the package."""

    file: str
    sha256: str


@final
@dataclass(frozen=True)
class Official:
    """A publisher's file, known to the byte."""

    url: str
    bytes: int
    algorithm: Literal["sha256", "md5"]  # what the publisher gives
    digest: str
    extra: str | None = None  # the extra of impasto that reading it needs

    @property
    def mebibytes(self) -> str:
        """Its size in words."""
        return f"{self.bytes / 2**20:.0f} MiB"

    @property
    def fingerprint(self) -> str:
        """Its hash in words."""
        return f"{'SHA-256' if self.algorithm == 'sha256' else 'MD5'} {self.digest}"


@final
@dataclass(frozen=True)
class WeightsSpec:
    """One set of weights.

    `corner` is the top left number of the first filter's kernel for each input channel, which tells published weights
    apart whatever file they are in; `prefixes` are beginnings of the SHA-256 of other files known to hold them.
    """

    name: str
    convolutions: tuple[Convolution, ...]
    convention: PixelConvention
    source: str
    attribution: str
    embedded: Embedded | None = None
    official: Official | None = None
    corner: Triple | None = None
    prefixes: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """`VGG-19` for a network with sixteen convolutions."""
        return architecture_name(self.convolutions)

    @property
    def mean_bgr(self) -> Triple:
        """The mean as the Caffe weights have it: BGR in 0..255."""
        blue, green, red = self.convention.mean if self.convention.order == "BGR" else self.convention.mean[::-1]
        scale = 255 / self.convention.white
        return (blue * scale, green * scale, red * scale)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor by key: `conv{block}_{index}.weight` (out, in, 3, 3), `.bias` (out,)."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self.convolutions:
            shapes[f"{layer.name}.weight"] = (layer.out_channels, layer.in_channels, 3, 3)
            shapes[f"{layer.name}.bias"] = (layer.out_channels,)
        return shapes

    def by_hand(self) -> str:
        """Return how a person can get the weights by hand, as the end of a message."""
        if self.official is None:
            return "install impasto again"
        return (
            f"to do it by hand, get {self.official.url} ({self.official.bytes} bytes, {self.official.fingerprint}) "
            "anywhere and run 'impasto weights import FILE'"
        )

    def not_here(self) -> str:
        """Return the message for weights that are not on this machine."""
        if self.official is None:
            return f"{self.name}: not on this machine; install impasto again"
        return (
            f"{self.name}: not on this machine; run 'impasto weights fetch {self.name}' ({self.official.mebibytes}) "
            "or 'impasto weights import FILE'"
        )


def architecture_name(convolutions: tuple[Convolution, ...]) -> str:
    """Return `VGG-16` or `VGG-19`: the layers with weights, of which three are fully connected."""
    return f"VGG-{len(convolutions) + 3}"


_OXFORD = "by Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of Oxford, CC BY 4.0"

SPECS: Final = {
    "vgg16": WeightsSpec(
        name="vgg16",
        convolutions=NETWORKS["vgg16"],
        convention=CAFFE,
        source="Oxford's original weights",
        attribution=f"VGG-16 {_OXFORD}; the thirteen convolutions, rounded to float16",
        # Written by scripts/build_weights, which prints the hash.
        embedded=Embedded("vgg16.safetensors", "6261bd27df3aba147d6c344266c40e721bf8e5af8fa9b7934d83dbfd6ae16895"),
    ),
    "vgg19": WeightsSpec(
        name="vgg19",
        convolutions=NETWORKS["vgg19"],
        convention=TORCHVISION,
        source="torchvision",
        attribution=(
            "VGG-19 trained on ImageNet by the torchvision project, published under its BSD 3-Clause license; "
            "terms of the training images may apply"
        ),
        # The name holds the hash's beginning, as torch.hub checks it; bytes and full hash of the file as published.
        official=Official(
            "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
            574_673_361,
            "sha256",
            "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        ),
        # features.0.weight[0, :, 0, 0], as torch prints it in published notebooks.
        corner=(-5.3474e-02, 1.7015e-02, -4.4885e-02),
    ),
    "vgg19-caffe": WeightsSpec(
        name="vgg19-caffe",
        convolutions=NETWORKS["vgg19-caffe"],
        convention=CAFFE,
        source="Oxford's original weights, as published by Keras",
        attribution=f"VGG-19 {_OXFORD}",
        # The hash is Keras' own (keras/applications/vgg19.py), which gives MD5 only: enough against damage and against
        # another file, for that needs a second preimage; not against whoever could publish two files of one MD5.
        # The size is the one Keras shows when it downloads.
        official=Official(
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            80_134_624,
            "md5",
            "253f8cb515780f3b799900260a226db6",
            extra="keras",
        ),
        # conv1_1's first filter in MatConvNet's imagenet-vgg-verydeep-19, whose RGB is turned to BGR here.
        corner=(0.34119523, 0.46418372, 0.39416704),
        # jcjohnson/pytorch-vgg, which neural-style-pt downloads: vgg19-d01eb7cb.pth, named after its hash.
        prefixes=("d01eb7cb",),
    ),
}

EMBEDDED: Final = {name: spec for name, spec in SPECS.items() if spec.embedded}


def find(name: str) -> WeightsSpec:
    """Return the weights called `name`.

    Raises:
        WeightsError: there are none; the message names the nearest.

    """
    if name not in SPECS:
        raise WeightsError(f"there are no weights called {name!r}; {suggest(name, SPECS)}")
    return SPECS[name]
