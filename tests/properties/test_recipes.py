"""Whatever a recipe holds: it survives TOML, or it is refused with a RecipeError."""

from hypothesis import given
from hypothesis import strategies as st

from impasto import architecture
from impasto.errors import RecipeError
from impasto.recipe import INITS, LBFGS, Adam, Recipe
from impasto.schedule import measure, scales
from impasto.terms import Content, Gram, MeanCovariance, Smoothness, Term, Terms, Wasserstein

weights = st.floats(1e-6, 1e6)
layers = st.dictionaries(
    st.sampled_from(list(architecture.layers(architecture.NETWORKS["vgg16"]))), weights, min_size=1, max_size=4
)
losses = st.one_of(
    st.builds(Content, layers, st.sampled_from(["literal", "mean", "relative", "normalized"])),
    st.builds(Gram, layers, st.sampled_from(["literal", "mean", "relative"])),
    st.builds(MeanCovariance, layers),
    st.builds(Wasserstein, layers, st.sampled_from(["mean", "relative"])),
    st.builds(Smoothness, st.sampled_from(["squared", "absolute", "sum"])),
)
optimizers = st.one_of(
    st.builds(
        LBFGS,
        history=st.integers(1, 200),
        max_step=st.floats(1e-4, 1),
        first_step=st.floats(1e-4, 1),
        line_search=st.sampled_from(["none", "strong-wolfe"]),
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
    network=st.sampled_from(sorted(architecture.NETWORKS)),
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
