"""Any recipe can be written as TOML and read again, or is refused with a RecipeError."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import RecipeError
from impasto.recipe import INITS, LBFGS, Adam, Recipe, presets, vgg_layers
from impasto.recipe.schedule import measure, scales
from impasto.recipe.terms import (
    Content,
    Gram,
    Histogram,
    Laplacian,
    MeanCovariance,
    Patches,
    Photorealism,
    Term,
    Terms,
    TotalVariation,
    Wasserstein,
)

weights = st.floats(1e-6, 1e6)
layers = st.dictionaries(
    st.sampled_from(list(vgg_layers.layers(vgg_layers.NETWORKS["vgg16"]))), weights, min_size=1, max_size=4
)
losses = st.one_of(
    st.builds(Content, layers, st.sampled_from(["literal", "mean", "relative", "normalized"])),
    st.builds(Gram, layers, st.sampled_from(["literal", "mean", "relative"])),
    st.builds(MeanCovariance, layers),
    st.builds(Wasserstein, layers, st.sampled_from(["mean", "relative"])),
    st.builds(Histogram, layers),
    st.builds(Patches, layers, st.integers(1, 5)),
    st.builds(Laplacian, st.integers(1, 256)),
    st.builds(Photorealism, st.floats(1e-9, 1)),
    st.builds(TotalVariation, st.sampled_from(["squared", "absolute", "sum"])),
)
optimizers = st.one_of(
    st.builds(
        LBFGS,
        history=st.integers(1, 200),
        max_step=st.floats(1e-4, 1),
        first_step=st.floats(1e-4, 1),
    ),
    st.builds(
        Adam,
        learning_rate=st.floats(1e-4, 1),
        decay=st.floats(0.1, 1),
        decay_steps=st.integers(1, 1000),
        beta1=st.floats(0, 0.99),
        average=st.floats(0, 0.99),
    ),
)
recipes = st.builds(
    Recipe,
    size=st.one_of(st.integers(16, 65536), st.just("original")),
    side=st.sampled_from(["long", "short", "height"]),
    content_weight=weights,
    style_weight=weights,
    smoothness=weights,
    style_scale=st.floats(0.01, 16),
    style_fit=st.sampled_from(["area", "side", "original"]),
    init=st.sampled_from(INITS),
    colors=st.sampled_from(["style", "content", "luminance", "match"]),
    color_match=st.sampled_from(["monge-kantorovich", "cholesky", "pca", "symmetric", "histogram"]),
    seed=st.integers(0, 2**63 - 1),
    steps=st.lists(st.integers(1, 5000), min_size=1, max_size=5).map(tuple),
    start_size=st.one_of(st.integers(16, 65536), st.just("final")),
    scale_factor=st.floats(1.05, 16),
    margin=st.floats(0, 0.5),
    network=st.sampled_from(sorted(vgg_layers.NETWORKS)),
    activity=st.sampled_from(["published", "unit-mean"]),
    bounds=st.sampled_from(["projected", "free"]),
    terms=st.lists(st.builds(Term, losses, weights), min_size=1, max_size=4).map(Terms),
    optimizer=optimizers,
)


@given(recipes)
def test_recipes_survive_toml(recipe: Recipe) -> None:
    again = Recipe.from_toml(recipe.to_toml())
    assert again == recipe
    assert again.digest == recipe.digest


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
names = st.sampled_from([*Recipe.__dataclass_fields__, "nonsense"])


@given(st.dictionaries(names, plain, max_size=4))
def test_any_table_is_a_recipe_or_refused(table: dict[str, object]) -> None:
    try:
        recipe = Recipe.from_table(table)
    except RecipeError as error:
        message = str(error)
    else:
        assert Recipe.from_table(recipe.to_table()) == recipe
        return
    assert message
    assert "\n" not in message


@given(recipes, st.integers(1, 5000), st.integers(1, 5000))
def test_scales_grow_to_the_size_asked_for_and_keep_the_aspect_ratio(recipe: Recipe, height: int, width: int) -> None:
    plan = scales(height, width, recipe)
    sides = [measure(scale.height, scale.width, recipe.side) for scale in plan]
    assert sides[-1] == (measure(height, width, recipe.side) if recipe.size == "original" else recipe.size)
    assert sides == sorted(sides)
    if recipe.start_size == "final":
        assert len(plan) == 1
    for scale in plan:
        assert min(scale.height, scale.width) >= 1
        assert scale.steps in recipe.steps
        exact = max(scale.height, scale.width) * min(height, width) / max(height, width)
        assert abs(min(scale.height, scale.width) - exact) <= 1


HOSTILE = [
    "a = " + "[" * 100_000,
    "size = " + "9" * 4000,
    "size = " + "9" * 5000,
    "size = 0x" + "f" * 5000,
    "content_weight = 0x" + "f" * 5000,
    "side = 0x" + "f" * 5000,
    "steps = [0x" + "f" * 5000 + "]",
    'size = "' + "x" * 100_000 + '"',
    "x" * 100_000 + " = 1",
    "a." * 5000 + "b = 1",
    "optimizer = " + "{a = " * 400 + "1" + "}" * 400,
    'optimizer = {name = ["lbfgs"]}',
    '[[terms]]\nloss = ["gram"]',
    '[[terms]]\nloss = "gram"\nlayers = [["conv1_1"]]',
    '[[terms]]\nloss = "gram"\nweight = 1e999',
    'name = "a\\nb\\u001b"\nsize = -1',
    "size = 1979-05-27",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_toml_is_one_short_line(text: str) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe.from_toml(text)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


def test_recipe_files_that_are_none(tmp_path: Path) -> None:
    paths = [tmp_path / "endless.toml", tmp_path / "a\nb.toml", Path("a\0b.toml"), tmp_path, tmp_path / "latin.toml"]
    paths[0].write_bytes(b"#" * 2_000_000)
    paths[1].write_text("size = 1")
    paths[4].write_bytes(b"name = '\xe9'")
    for path in [*paths, Path("/dev/zero")]:
        with pytest.raises(RecipeError) as error:
            presets.read(path)
        assert str(error.value).isprintable()
        assert "toml" in str(error.value) or str(path) in str(error.value)
