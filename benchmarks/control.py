"""Whether regions, strength and colours do what they promise. Speed is not measured: all is painted in this process.

scripts/bench control                      all three, on the sample pictures
scripts/bench control --only strength
"""

import argparse
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import impasto
from benchmarks import quality, records
from benchmarks.records import SAMPLES, Row
from impasto.engine.networks import load_network
from impasto.losses.mean_covariance import MeanCovariance
from impasto.ops import oklab
from impasto.ops.moments import moments
from impasto.ops.resample import resize
from impasto.picture import as_picture, read_picture
from impasto.recipe import presets, terms, vgg_layers
from impasto.recipe.schedule import fit_area

JOB = "control"
KEY = ("what", "content", "styles", "size")
PAIRS = (
    ("astronaut", "night_swirls"),
    ("rocket", "woodcut"),
    ("chelsea", "watercolor"),
    ("coffee", "autumn_knife"),
    ("coffee", "mosaic"),
    ("chelsea", "night_swirls"),
)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
# In OKLab: about the smallest difference that is visible side by side.
NOTICEABLE = 0.02


def paint(content: str, styles: Sequence[str], size: int, device: str, **options: Any) -> Tensor:
    """Return the picture, (1, 3, H, W)."""
    paths = [SAMPLES / f"{name}.jpg" for name in styles]
    return quality.tensor(impasto.stylize(SAMPLES / f"{content}.jpg", paths, size=size, device=device, **options))


def strength(content: str, style: str, size: int, device: str) -> Row:
    """Paint with each strength and measure both distances, without the network."""
    photo, painting = _sample(content), _sample(style)
    styles, contents = [], []
    for value in STRENGTHS:
        image = paint(content, [style], size, device, strength=value)
        styles.append(quality.style_distance(image, _fitted(painting, image)))
        contents.append(quality.content_distance(image, resize(photo, *image.shape[2:])))
    return {"style_distances": styles, "content_distances": contents}


def regions(content: str, styles: tuple[str, str], size: int, device: str) -> Row:
    """Paint the left half in one style and the right half in another, and also the whole picture in each style.

    In each half, only positions whose receptive field does not reach the other half are compared.
    """
    half = as_picture(np.repeat(np.arange(8)[None, :, None] < 4, 8, axis=0).astype(np.float32).repeat(3, axis=2))
    both = paint(content, styles, size, device, content_mask=half)
    photo = resize(_sample(content), *both.shape[2:])
    row: Row = {"nearer": []}
    for left, style in zip((True, False), styles, strict=True):
        alone = paint(content, [style], size, device)
        distance = functools.partial(_distance, _fitted(_sample(style), both), left)
        untouched = distance(photo)
        # The decrease of the distance from the photo to the style, relative to that without a mask.
        row["nearer"].append((untouched - distance(both)) / (untouched - distance(alone)))
    return row


def colors(content: str, style: str, size: int, device: str, mode: str) -> Row:
    """Paint with the photo's colours; measure the difference of the mean colours and the share of clipped values."""
    image = paint(content, [style], size, device, colors=mode)
    photo, painting = resize(_sample(content), *image.shape[2:]), _fitted(_sample(style), image)
    means = [oklab.from_srgb(each).mean((0, 2, 3)) for each in (image, photo)]
    return {
        "mean_difference": float((means[0] - means[1]).norm()),
        "clipped": _clipped(image),
        "clipped_inputs": max(_clipped(photo), _clipped(painting)),
    }


def _clipped(image: Tensor) -> float:
    """Return the share of values at the ends of the range, in the channel with the most of them."""
    return float(((image <= 0.5 / 255) | (image >= 254.5 / 255)).float().mean((0, 2, 3)).max())


def _distance(painting: Tensor, left: bool, image: Tensor) -> float:
    """Return the default recipe's style loss of one half of `image` against `painting`."""
    recipe = presets.DEFAULT
    (spec,) = (term.loss for term in recipe.terms if isinstance(term.loss, terms.MeanCovariance))
    network, loss = load_network(recipe, torch.device("cpu")), MeanCovariance(spec)
    layers = terms.weighted_layers(spec.layers)
    total = 0.0
    with torch.inference_mode():
        own, wanted = (network(each, [name for name, _ in layers]) for each in (image, painting))
        for name, weight in layers:
            inside = half(own[name], name, left)
            total += weight * float(loss.value(moments(inside), loss.target(moments(wanted[name]))))
    return total


def half(features: Tensor, name: str, left: bool) -> Tensor:
    """Return the features of one half whose receptive field does not reach the other half."""
    about = vgg_layers.layers(vgg_layers.NETWORKS["vgg16"]).get(name)
    seen = 0 if name == vgg_layers.PIXELS or about is None else -(-about.receptive_field // (2 * about.stride))
    width = features.shape[3] // 2 - seen
    return features[..., :width] if left else features[..., -width:]


def _sample(name: str) -> Tensor:
    return quality.tensor(read_picture(SAMPLES / f"{name}.jpg"))


def _fitted(painting: Tensor, image: Tensor) -> Tensor:
    height, width = painting.shape[2:]
    return resize(painting, *fit_area(height, width, image.shape[2] * image.shape[3]))


def measured(arguments: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each measurement."""
    device = arguments.device
    if arguments.only in (None, "strength"):
        for size, pair in itertools.product(arguments.strength_sizes, PAIRS):
            yield _row("strength", pair[0], pair[1:], size) | strength(*pair, size, device)
    if arguments.only in (None, "regions"):
        for (content, style), (_, other) in itertools.pairwise(PAIRS):
            yield _row("regions", content, (style, other), 512) | regions(content, (style, other), 512, device)
    if arguments.only in (None, "colors"):
        for mode, pair in itertools.product(("luminance", "match"), PAIRS):
            yield _row(f"colors {mode}", pair[0], pair[1:], 256) | colors(*pair, 256, device, mode)


def _row(what: str, content: str, styles: Sequence[str], size: int) -> Row:
    return {"what": what, "content": content, "styles": " ".join(styles), "size": size}


def section(folder: Path = records.RESULTS) -> str:
    """Return the part of docs/benchmarks.md."""
    rows = [row for part in records.parts(JOB, folder) for row in part["rows"]]
    lines = [INTRODUCTION] if rows else []
    for what, text, columns, cells in (
        ("strength", STRENGTH, ("style", "content"), _strength_cells),
        ("regions", REGIONS, ("left half", "right half"), _region_cells),
        ("colors", COLORS, ("difference of the means", "clipped", "clipped in the inputs"), _color_cells),
    ):
        chosen = [row for row in rows if row["what"].startswith(what)]
        if chosen:
            named = [(row["what"], row["content"], row["styles"], str(row["size"]), *cells(row)) for row in chosen]
            lines += [text, *records.table(("what", "photo", "style", "px", *columns), named), ""]
    return "\n".join(lines)


def _strength_cells(row: Row) -> tuple[str, ...]:
    return tuple(" ".join(f"{value:.3f}" for value in row[f"{what}_distances"]) for what in ("style", "content"))


def _region_cells(row: Row) -> tuple[str, ...]:
    return tuple(f"{value:.0%}" for value in row["nearer"])


def _color_cells(row: Row) -> tuple[str, ...]:
    return f"{row['mean_difference']:.4f}", f"{row['clipped']:.1%}", f"{row['clipped_inputs']:.1%}"


INTRODUCTION = """
## Controls

Made by `scripts/bench control`: whether the controls do what they promise, measured on the sample pictures with the
default recipe.
"""
STRENGTH = """
For `--strength` 0, 0.25, 0.5, 0.75 and 1: the distance from the painting (sliced Wasserstein distance of patches),
which should decrease, and the distance from the photo (1 - MS-SSIM), which should increase.
"""
REGIONS = """
The left half is painted in the first style, the right half in the second. For each half, the table has the decrease of
the distance between its statistics and the style's, relative to the photo, in percent of the decrease at the same
place in a picture painted in that style alone. Only positions whose receptive field does not reach the other half
count.
"""
COLORS = f"""
For `--colors`: the difference between the mean colours of the picture and of the photo, in OKLab, where about
{NOTICEABLE} is just visible; and the share of a channel's values that are at an end of the range.
"""


def main(given: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        "scripts/bench control", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["strength", "regions", "colors"], help="one of them")
    parser.add_argument("--strength-sizes", type=int, nargs="+", default=[96, 128, 192], help="in pixels [96 128 192]")
    records.add_options(parser)
    arguments = records.parsed(parser, given)
    for row in measured(arguments):
        records.keep(arguments, JOB, row, KEY)
