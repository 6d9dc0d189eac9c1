"""Networks that a process has loaded."""

import torch

from impasto.recipe import Recipe
from impasto.system.cache import Cache
from impasto.vgg import convolutions, network
from impasto.vgg.network import VGG


def load_network(
    recipe: Recipe,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    method: convolutions.Method | None = None,
) -> VGG:
    """Return the network that `recipe` asks for; the last ones used are kept for the next run.

    Args:
        recipe: names the network, its pooling, padding and activity.
        device: where features are computed.
        dtype: of the features.
        method: how a CPU convolves in float32; what is fastest here if left out.

    Raises:
        WeightsError: its weights are missing or damaged.

    """
    method = method or convolutions.method()

    def load() -> VGG:
        return network.load(
            recipe.network, pooling=recipe.pooling, padding=recipe.padding, activity=recipe.activity, method=method
        ).to(device, dtype)

    key = (recipe.network, recipe.pooling, recipe.padding, recipe.activity, device, dtype, method)
    return LOADED_NETWORKS.get(key, load)


# Each takes some 120 MB.
LOADED_NETWORKS: Cache[VGG] = Cache(2)
