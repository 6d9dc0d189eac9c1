"""The objective and schedule of style-transfer-pytorch in plain PyTorch, as a careful user would write them.

It has standard modules with frozen weights, autograd and torch.optim.Adam, and none of impasto's arithmetic. It uses
only impasto's file of weights, the recipe `crowsonkb` and its sizes. A run measures a few steps at every scale and
prints a row for each, as JSON:

python -m benchmarks.peers.plain_loop photo.jpg painting.jpg --size 512 --steps 3 --device cpu
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import measured
from impasto.recipe import Adam, Recipe, presets, schedule
from impasto.recipe.terms import Content, Wasserstein, weighted_layers
from impasto.vgg import weights

# crowsonkb adds 1e-4 to the covariance's diagonal; our features are 57 times as large: see presets/crowsonkb.toml.
RIDGE = 1e-4 * 57**2
# style_transfer.py: sqrtm_ns_lyap with 12 iterations.
ITERATIONS = 12


class Features(nn.Module):
    """VGG-16 as users of torchvision build it: a list of modules, called one after another."""

    def __init__(self) -> None:
        super().__init__()
        published = weights.load("vgg16")
        convention = published.convention
        self.mean = torch.tensor(convention.mean).view(1, 3, 1, 1)
        self.white, self.order = convention.white, convention.order
        self.layers = nn.ModuleDict()
        block = 1
        for spec in published.spec.convolutions:
            if spec.block != block:
                block = spec.block
                self.layers[f"pool{block - 1}"] = nn.MaxPool2d(2)
            first = not self.layers
            convolution = nn.Conv2d(
                spec.in_channels, spec.out_channels, 3, padding=1, padding_mode="replicate" if first else "zeros"
            )
            convolution.load_state_dict({part: published[f"{spec.name}.{part}"].float() for part in ("weight", "bias")})
            self.layers[spec.name] = convolution
            self.layers[spec.rectified] = nn.ReLU()
        self.requires_grad_(False)

    def forward(self, image: Tensor, names: set[str]) -> dict[str, Tensor]:
        """Return the features named of (1, 3, H, W) RGB in [0, 1]."""
        x = (image.flip(1) if self.order == "BGR" else image) * self.white - self.mean.to(image.device)
        found: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            if len(found) == len(names):
                break
            x = layer(x)
            if name in names:
                found[name] = x
        return found


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (C,) and covariance (C, C) of (1, C, H, W), with the ridge."""
    rows = features[0].flatten(1)
    mean = rows.mean(1)
    centred = rows - mean[:, None]
    return mean, centred @ centred.T / rows.shape[1] + RIDGE * torch.eye(len(rows), device=rows.device)


def root(matrix: Tensor) -> Tensor:
    """Return a symmetric positive matrix's square root by the Newton-Schulz iteration: Higham 2008, equation 6.35."""
    norm = matrix.norm()
    identity = torch.eye(len(matrix), device=matrix.device)
    y, z = matrix / norm, identity
    for _ in range(ITERATIONS):
        correction = 1.5 * identity - 0.5 * z @ y
        y, z = y @ correction, correction @ z
    result: Tensor = y * norm.sqrt()
    return result


def root_trace(matrix: Tensor) -> Tensor:
    """Return the trace of the square root, by the method that is faster on the device."""
    if matrix.device.type == "cpu":
        eigenvalues: Tensor = torch.linalg.eigvalsh(matrix)
        return eigenvalues.clamp(min=1e-6).sqrt().sum()
    return root(matrix).trace()


class Loss(nn.Module):
    """Mean squared content, Wasserstein-2 distance of Gaussians as style, and squared differences as smoothness."""

    def __init__(self, recipe: Recipe, features: Features, content: Tensor, style: Tensor) -> None:
        super().__init__()
        self.recipe, self.features = recipe, features
        (content_term,) = (term.loss for term in recipe.terms if isinstance(term.loss, Content))
        (style_term,) = (term.loss for term in recipe.terms if isinstance(term.loss, Wasserstein))
        self.content_layers = dict(weighted_layers(content_term.layers))
        self.style_layers = dict(weighted_layers(style_term.layers))
        with torch.no_grad():
            self.content: Mapping[str, Tensor] = features(content, set(self.content_layers))
            found = features(style, set(self.style_layers))
            self.style = {name: gaussian(x) for name, x in found.items()}
            self.roots = {name: root(covariance) for name, (_, covariance) in self.style.items()}

    def forward(self, image: Tensor) -> Tensor:
        """Return the loss of (1, 3, H, W) RGB in [0, 1]."""
        found = self.features(image, set(self.content_layers) | set(self.style_layers))
        loss = self.recipe.smoothness * (image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean())
        for name, weight in self.content_layers.items():
            loss = loss + self.recipe.content_weight * weight * F.mse_loss(found[name], self.content[name])
        for name, weight in self.style_layers.items():
            loss = loss + self.recipe.style_weight * weight * self.distance(name, found[name])
        return loss

    def distance(self, name: str, features: Tensor) -> Tensor:
        """Return the distance of one layer's features to the style's, the mean over channels."""
        mean, covariance = gaussian(features)
        target_mean, target = self.style[name]
        overlap = root_trace(self.roots[name] @ covariance @ self.roots[name])
        return (mean - target_mean).square().mean() + (covariance.trace() + target.trace() - 2 * overlap) / len(mean)


def read(path: Path, height: int, width: int, device: str) -> Tensor:
    """Return (1, 3, H, W) RGB in [0, 1] at a size."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float().div(255).to(device)


def descend(loss: Loss, image: Tensor, settings: Adam, steps: int) -> tuple[list[float], float]:
    """Take some steps; return when each one ended, in seconds, and the last loss."""
    image = image.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], settings.learning_rate, (settings.beta1, settings.beta2))
    average = torch.zeros_like(image)
    times: list[float] = []
    last = float("nan")
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(image)
        value.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
            average.mul_(settings.average).add_(image, alpha=1 - settings.average)
        # The original program waits for the GPU here too, because it reads the loss to show it.
        last = value.item()
        times.append(time.perf_counter())
    return times, last


def main() -> None:
    """Measure every scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--size", type=int, default=512, help="long side in pixels at the last scale [512]")
    parser.add_argument("--steps", type=int, default=3, help="steps timed at each scale, after one that warms up [3]")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    recipe = presets.get("crowsonkb").replace(size=given.size)
    assert isinstance(recipe.optimizer, Adam)
    features = Features().to(given.device)
    with Image.open(given.content) as photo, Image.open(given.style) as painting:
        width, height, *style_size = *photo.size, *painting.size
    scales = schedule.scales(height, width, recipe)
    for scale in scales:
        content = read(given.content, scale.height, scale.width, given.device)
        shape = schedule.style_size(style_size[1], style_size[0], scale, scales[-1], recipe)
        loss = Loss(recipe, features, content, read(given.style, *shape, given.device))
        times, value = descend(loss, content, recipe.optimizer, given.steps + 2)
        row = {"height": scale.height, "width": scale.width, "steps": scale.steps, "loss": value}
        print(json.dumps(row | {"step_seconds": measured.step_seconds(times)}), flush=True)


if __name__ == "__main__":
    main()
