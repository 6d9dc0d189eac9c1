"""The cache of loaded networks."""

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
    """Return the network of `recipe`; those used last stay loaded.

    Args:
        recipe: names the network, its pooling, padding and activity.
        device: where features are computed.
        dtype: of the features.
        method: the convolution method on a CPU in float32; None for the fastest on this machine.

    Raises:
        WeightsError: its weights are missing or damaged.

    """
    method = method or convolutions.method(device)

    def load() -> VGG:
        return network.load(
            recipe.network, pooling=recipe.pooling, padding=recipe.padding, activity=recipe.activity, method=method
        ).to(device, dtype)

    key = (recipe.network, recipe.pooling, recipe.padding, recipe.activity, device, dtype, method)
    return LOADED_NETWORKS.get(key, load)


# A network takes some 120 MB.
LOADED_NETWORKS: Cache[VGG] = Cache(2)
