"""Networks that a process has loaded."""

import torch

from impasto.recipe import Recipe
from impasto.system.cache import Cache
from impasto.vgg import network
from impasto.vgg.network import VGG


def load_network(recipe: Recipe, device: torch.device, dtype: torch.dtype = torch.float32) -> VGG:
    """Return the network that `recipe` asks for; the last ones used are kept for the next run.

    Raises:
        WeightsError: its weights are missing or damaged.

    """
    key = (recipe.network, recipe.pooling, recipe.padding, recipe.activity, device, dtype)
    return _NETWORKS.get(key, lambda: _loaded(recipe).to(device, dtype))


def _loaded(recipe: Recipe) -> VGG:
    return network.load(recipe.network, pooling=recipe.pooling, padding=recipe.padding, activity=recipe.activity)


# Each takes some 120 MB.
_NETWORKS: Cache[VGG] = Cache(2)
