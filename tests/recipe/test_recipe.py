import dataclasses
from pathlib import Path

import pytest

from impasto.errors import RecipeError
from impasto.recipe import LBFGS, Adam, Recipe, presets
from impasto.recipe.terms import Content, Gram, MeanCovariance, Term, Terms, TotalVariation, Wasserstein


@pytest.mark.parametrize("name", presets.NAMES)
def test_presets_are_valid_and_survive_toml(name: str) -> None:
    recipe = presets.get(name)
    assert recipe.name == name
    assert recipe.description
    again = Recipe.from_toml(recipe.to_toml())
    assert again == recipe
    assert again.digest == recipe.digest
    assert again.to_toml() == recipe.to_toml()


def test_presets_are_attributes() -> None:
    assert presets.DEFAULT is presets.get("default")
    with pytest.raises(AttributeError):
        _ = presets.NOTHING


def test_every_number_in_a_preset_has_a_source_above_it() -> None:
    for name in presets.NAMES:
        block = ""
        for line in presets.text(name).splitlines():
            if not line.strip():
                block = ""
            elif line.startswith("#"):
                block = line
            elif (
                not line.startswith(("name", "description"))
                and any(character.isdigit() for character in line.split("=")[-1])
                and "=" in line
            ):
                assert block, f"{name}: no source above {line!r}"


def test_the_algebra_gives_data() -> None:
    terms = 0.1 * Content("relu4_2") + Gram(["relu1_1", "relu2_1"]) + 0.2 * TotalVariation()
    assert terms == Terms(
        [
            Term(Content((("relu4_2", 1.0),)), 0.1),
            Term(Gram((("relu1_1", 0.5), ("relu2_1", 0.5))), 1.0),
            Term(TotalVariation(), 0.2),
        ]
    )
    assert MeanCovariance({"relu1_1": 8, "relu2_1": 4}).layers == (("relu1_1", 8.0), ("relu2_1", 4.0))


def test_a_single_loss_is_an_objective() -> None:
    assert Recipe(terms=Gram()).terms == Terms([Term(Gram())])  # type: ignore[arg-type]


def test_a_recipe_with_everything_survives_toml() -> None:
    recipe = Recipe(
        size="original",
        steps=(1, 2),
        init="noise",
        pooling="l2",
        terms=2 * Content({"conv4_2": 0.3, "relu2_2": 0.7}, "literal")
        + Wasserstein(form="mean")
        + TotalVariation("absolute"),
        optimizer=Adam(learning_rate=0.05, average=0),
    )
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_the_digest_says_what_is_done_not_what_it_is_called() -> None:
    recipe = Recipe()
    assert recipe.replace(name="other", description="text").digest == recipe.digest
    assert recipe.replace(seed=1).digest != recipe.digest
    assert recipe.replace(optimizer=LBFGS(history=9)).digest != recipe.digest
    assert recipe.replace(terms=(*recipe.terms, Term(TotalVariation(), 0.1))).digest != recipe.digest


def test_weights_multiply() -> None:
    recipe = Recipe(
        content_weight=0.5, style_weight=2, smoothness=3, terms=0.1 * Content() + Gram() + 4 * TotalVariation()
    )
    assert [recipe.weight_of(term) for term in recipe.terms] == pytest.approx([0.05, 2, 12])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 15}, "size is 15; expected a whole number at least 16 and at most 65536"),
        ({"size": "orignal"}, "did you mean 'original'"),
        ({"size": 512.5}, "size is 512.5"),
        ({"size": True}, "size is True"),
        ({"content_weight": -1}, "content_weight is -1; expected a number at least 0"),
        ({"content_weight": float("nan")}, "content_weight is nan"),
        ({"content_weight": "much"}, "content_weight is 'much'; expected a number"),
        ({"style_scale": 0}, "style_scale is 0; expected a number above 0"),
        ({"steps": ()}, "steps is empty"),
        ({"steps": (10, 0)}, "steps is 0"),
        ({"steps": 10}, "steps is 10; expected a list of a whole number"),
        ({"init": "contents"}, "did you mean 'content'"),
        ({"pooling": "avg"}, "pooling is 'avg'"),
        ({"network": "vgg17"}, "did you mean 'vgg19'"),
        ({"seed": -1}, "seed is -1"),
        ({"content_weight": 0, "style_weight": 0, "smoothness": 0}, "nothing to optimise"),
        ({"terms": Terms([Term(Content("relu4_9"))])}, "'relu4_9'.*did you mean 'relu4_"),
        ({"terms": Terms([Term(Content("relu5_4"))])}, "'relu5_4'"),
        ({"terms": 3}, "terms is 3; expected weighted losses"),
        ({"terms": (3,)}, "expected weighted losses"),
        ({"optimizer": "lbfgs"}, "optimizer is 'lbfgs'"),
        ({"sizes": 3}, "no field 'sizes'; did you mean 'size'"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe().replace(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size = ", "not TOML"),
        ("sise = 3", "a recipe has no field 'sise'; did you mean 'size'"),
        ("terms = 3", "write each one under"),
        ("[[terms]]\nloss = 'gramm'", "did you mean 'gram'"),
        ("[[terms]]\nloss = 'gram'\nfrom = 'mean'", "the gram term has no field 'from'; did you mean 'form'"),
        ("[[terms]]\nloss = 'gram'\nlayers = []", "at least one"),
        ("[[terms]]\nloss = 'gram'\nlayers = ['relu1_1', 'relu1_1']", "none twice"),
        ("[[terms]]\nloss = 'gram'\nlayers = { relu1_1 = -1 }", "layers is -1"),
        ("[[terms]]\nloss = 'gram'\nlayers = 3", "layers is 3"),
        ("[[terms]]\nloss = 'gram'\nlayers = [3]", "layers"),
        ("[[terms]]\nloss = 'gram'\nweight = 'x'", "weight is 'x'"),
        ("[optimizer]\nname = 'sgd'", "optimizer's name is 'sgd'"),
        ("[optimizer]\nname = 'adam'\nbeta3 = 1", "did you mean 'beta"),
        ("optimizer = 'adam'", "expected a table"),
        ("terms = []", "nothing to optimise"),
    ],
)
def test_wrong_files_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_toml(text)


def test_a_recipe_is_frozen_and_hashable() -> None:
    recipe = Recipe()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.size = 3  # type: ignore[misc]
    assert len({recipe, Recipe()}) == 1


def test_unknown_presets_and_bad_files_name_what_to_do(tmp_path: object) -> None:
    from pathlib import Path

    with pytest.raises(RecipeError, match="did you mean 'default'"):
        presets.resolve("defualt")
    with pytest.raises(RecipeError, match=r"none\.toml: cannot be read"):
        presets.resolve(Path(str(tmp_path)) / "none.toml")
    binary = Path(str(tmp_path)) / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not a text file"):
        presets.resolve(str(binary))
    wrong = Path(str(tmp_path)) / "wrong.toml"
    wrong.write_text("size = 3")
    with pytest.raises(RecipeError, match=r"wrong\.toml: size is 3"):
        presets.resolve(wrong)


def test_a_file_that_powershell_or_an_editor_of_windows_wrote(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        path = tmp_path / f"{encoding}.toml"
        path.write_bytes(presets.text("default").replace("\n", "\r\n").encode(encoding))
        assert presets.read(path) == presets.get("default")
