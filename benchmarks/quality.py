"""How good a stylised picture is, by measures that no recipe optimises.

Style: sliced Wasserstein distance between the colours of small patches, at several scales (Bonneel et al. 2015; patches
as in Elnekave and Weiss 2022), divided by the distance of the photo: 0 is the painting, 1 the unchanged photo.
Content: 1 - multi-scale structural similarity of the luminance (Wang, Simoncelli and Bovik 2003). 0 is the photo.
Neither uses VGG. Both compare results of the same pair at the same size; look at the pictures as well.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.ops.resample import resize
from impasto.picture import Picture, read_picture
from impasto.recipe.schedule import fit_area

PATCH = 5  # px
PROJECTIONS = 256
SAMPLES = 20_000  # patches a scale


def tensor(picture: Picture) -> Tensor:
    """Return (1, 3, H, W) sRGB in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.pixels))[None]


def style_distance(image: Tensor, style: Tensor) -> float:
    """Return the sliced Wasserstein distance of patches, averaged over three octaves; in units of sRGB."""
    distances = [
        _sliced(_patches(a, seed), _patches(b, seed), seed)
        for seed, (a, b) in enumerate(zip(_octaves(image), _octaves(style), strict=True))
    ]
    return sum(distances) / len(distances)


def content_distance(image: Tensor, photo: Tensor) -> float:
    """Return 1 - MS-SSIM of the luminance."""
    weights = torch.tensor([0.3, 0.2, 0.2, 0.3])
    rec709 = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    a, b = (image * rec709).sum(1, keepdim=True), (photo * rec709).sum(1, keepdim=True)
    similarity = 1.0
    for weight in weights:
        similarity *= max(_contrast_structure(a, b), 1e-6) ** float(weight / weights.sum())
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return 1 - similarity


def scores(result: str, content: str, style: str) -> dict[str, float]:
    """Return both distances of the picture at `result`, at its own size."""
    image, photo, painting = (tensor(read_picture(path)) for path in (result, content, style))
    photo = resize(photo, *image.shape[2:])
    height, width = painting.shape[2:]
    painting = resize(painting, *fit_area(height, width, image.shape[2] * image.shape[3]))
    untouched = style_distance(photo, painting)
    return {"style": style_distance(image, painting) / untouched, "content": content_distance(image, photo)}


def _octaves(image: Tensor) -> Iterator[Tensor]:
    for _ in range(3):
        yield image
        image = F.avg_pool2d(image, 2)


def _patches(image: Tensor, seed: int) -> Tensor:
    patches = F.unfold(image, PATCH)[0].T
    chosen = torch.randint(len(patches), (SAMPLES,), generator=torch.Generator().manual_seed(seed))
    return patches[chosen]


def _sliced(a: Tensor, b: Tensor, seed: int) -> float:
    directions = torch.randn(a.shape[1], PROJECTIONS, generator=torch.Generator().manual_seed(seed))
    directions /= directions.norm(dim=0)
    return float(((a @ directions).sort(0).values - (b @ directions).sort(0).values).abs().mean())


def _contrast_structure(a: Tensor, b: Tensor) -> float:
    c2 = 0.03**2  # Wang et al. 2004

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, stride=1)

    mean_a, mean_b = mean(a), mean(b)
    covariance = mean(a * b) - mean_a * mean_b
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    return float(((2 * covariance + c2) / (variances + c2)).mean())
