import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.ops import tiling
from impasto.ops.tiling import Tile
from impasto.recipe import vgg_layers
from impasto.recipe.vgg_layers import NETWORKS, Convolution
from impasto.vgg.network import VGG
from tests.conftest import PAIRED_LAYERS, SMALL_LAYERS, small_tensors

STRIDES = st.sampled_from([1, 2, 4, 8, 16])


@st.composite
def tiled(draw: st.DrawFn) -> tuple[int, int, int | None, int, int]:
    """Height, width, tile size, halo and stride of pictures of few tiles."""
    stride = draw(STRIDES)
    size = st.one_of(st.none(), st.integers(1, 130))
    return draw(st.integers(1, 120)), draw(st.integers(1, 120)), draw(size), stride * draw(st.integers(0, 6)), stride


@given(tiled())
def test_every_pixel_is_in_one_core(setting: tuple[int, int, int | None, int, int]) -> None:
    height, width, size, halo, stride = setting
    count = torch.zeros(height, width)
    for tile in tiling.tiles(height, width, size, halo, stride):
        count[tile.rows.start : tile.rows.end, tile.columns.start : tile.columns.end] += 1
    assert torch.equal(count, torch.ones(height, width))


@given(tiled())
def test_tiles_begin_where_poolings_do(setting: tuple[int, int, int | None, int, int]) -> None:
    height, width, size, halo, stride = setting
    for tile in tiling.tiles(height, width, size, halo, stride):
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert span.start % stride == span.outer_start % stride == 0
            for end in (span.end, span.outer_end):
                assert end % stride == 0 or end == length


@given(tiled())
def test_halos_are_as_wide_as_the_picture_lets_them(setting: tuple[int, int, int | None, int, int]) -> None:
    height, width, size, halo, stride = setting
    for tile in tiling.tiles(height, width, size, halo, stride):
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert 0 <= span.outer_start <= span.start < span.end <= span.outer_end <= length
            assert span.outer_start in (0, span.start - halo)
            assert span.outer_end in (length, span.end + halo)


@given(tiled())
def test_no_core_is_larger_than_asked_for(setting: tuple[int, int, int | None, int, int]) -> None:
    height, width, size, halo, stride = setting
    found = tiling.tiles(height, width, size, halo, stride)
    if size is None:
        assert found == [Tile(tiling.Span(0, height, 0, height), tiling.Span(0, width, 0, width))]
        return
    longest = stride * math.ceil(size / stride)
    assert all(span.end - span.start <= longest for tile in found for span in tile)
    # There are no more tiles than needed.
    assert len(found) <= math.ceil(height / size) * math.ceil(width / size)


@given(tiled(), st.data())
def test_cores_of_tiles_are_the_parts_of_the_whole(
    setting: tuple[int, int, int | None, int, int], data: st.DataObject
) -> None:
    height, width, size, halo, deepest = setting
    # The deepest layer, or one before it.
    stride = data.draw(STRIDES.filter(lambda stride: stride <= deepest))
    image = torch.arange(height * width).view(1, 1, height, width)
    features = image[:, :, ::stride, ::stride]
    seen = torch.zeros_like(features)
    for tile in tiling.tiles(height, width, size, halo, deepest):
        part = tile.part(features, stride)
        assert torch.equal(tile.core(tile.cut(image)[:, :, ::stride, ::stride], stride), part)
        tile.part(seen, stride).add_(1)
    assert torch.equal(seen, torch.ones_like(seen))


@pytest.mark.parametrize("convolutions", [SMALL_LAYERS, PAIRED_LAYERS], ids=["small", "paired"])
def test_the_reach_is_what_the_gradient_reaches(convolutions: tuple[Convolution, ...]) -> None:
    vgg = VGG(convolutions, small_tensors(convolutions), [0.0, 0.0, 0.0], pooling="average").to(dtype=torch.float64)
    for name, info in vgg_layers.layers(convolutions).items():
        image = torch.rand(1, 3, 160, 160, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        features = vgg(image.requires_grad_(), [name])[name]
        centre = features.shape[2] // 2
        (gradient,) = torch.autograd.grad(features[0, :, centre, centre].sum(), image)
        for axes in ((0, 1, 3), (0, 1, 2)):
            seen = gradient.abs().sum(axes).nonzero()
            before = centre * info.stride - int(seen.min())
            after = int(seen.max()) - ((centre + 1) * info.stride - 1)
            assert before == after
            assert tiling.reach([name], convolutions) == (info.stride * math.ceil(before / info.stride), info.stride)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # Convolutions of blocks 1, 2, 3, 4 and 5 reach 1, 2, 4, 8 and 16 pixels further.
        (["relu5_1"], (64, 16)),  # 2 x 1 + 2 x 2 + 3 x 4 + 3 x 8 + 1 x 16 = 58, of stride 16
        (["conv5_1", "relu1_1"], (64, 16)),
        (["relu4_2"], (40, 8)),  # 2 + 4 + 12 + 2 x 8 = 34
        (["relu1_2", "relu2_1", "rgb"], (4, 2)),  # 2 + 2
        (["relu1_1"], (1, 1)),
        (["rgb"], (0, 1)),
        ([], (0, 1)),
    ],
)
def test_the_reach_of_vgg16_by_hand(layers: list[str], expected: tuple[int, int]) -> None:
    assert tiling.reach(layers, NETWORKS["vgg16"]) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_the_reach_and_the_receptive_field_say_the_same(name: str) -> None:
    for layer, info in vgg_layers.layers(NETWORKS[name]).items():
        beyond = (info.receptive_field - info.stride) / 2
        assert tiling.reach([layer], NETWORKS[name])[0] == info.stride * math.ceil(beyond / info.stride)
