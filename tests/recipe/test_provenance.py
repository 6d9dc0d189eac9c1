"""The provenance as a JSON document: written and read again, and every other document that is refused."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import PictureError
from impasto.recipe import Adam, Recipe, presets
from impasto.recipe.provenance import MOST_BYTES, Drawn, Input, Remembered, plain_name
from impasto.recipe.terms import Content, Gram

HASH = "0123456789abcdef" * 4
RECIPE = Recipe(
    name="mine", description="two\nlines, Zażółć", terms=0.2 * Content() + Gram(), optimizer=Adam(), seed=2**63 - 1
)
MEMORY = Remembered(
    recipe=RECIPE,
    content=Input("photo.jpg", HASH),
    styles=(Input("a.png", HASH, 0.7), Input("memory", None, 0.3)),
    init=None,
    size=(640, 480),
    finished=True,
    version="0.1.0",
)


@pytest.mark.parametrize("recipe", [RECIPE, *map(presets.get, presets.NAMES)])
def test_there_and_back(recipe: Recipe) -> None:
    memory = dataclasses.replace(MEMORY, recipe=recipe, init=Input("ünïcode.png", HASH))
    text = memory.to_json()
    assert text.isascii()
    assert "\n" not in text
    back = Remembered.from_json(text, "a.png")
    assert back == memory
    assert back.recipe.digest == recipe.digest
    assert back.to_json() == text
    assert Recipe.from_toml(memory.to_toml()) == recipe


MASKED = dataclasses.replace(
    MEMORY,
    drawn=Drawn(Input("where.png", HASH), (None, Input("part.png")), Input("keep.png", HASH)),
    style_scales=(0.5, 2.0),
    style_parts=("fine", "all"),
)


def test_masks_scales_and_parts_there_and_back() -> None:
    text = MASKED.to_json()
    assert Remembered.from_json(text, "a.png") == MASKED
    document = json.loads(text)
    assert document["content_mask"] == {"name": "where.png", "sha256": HASH}
    assert document["style_masks"] == [None, {"name": "part.png", "sha256": None}]
    assert document["protect"] == {"name": "keep.png", "sha256": HASH}
    assert (document["style_scales"], document["style_parts"]) == ([0.5, 2.0], ["fine", "all"])
    said = MASKED.to_toml()
    assert [line for line in said.splitlines() if line.startswith("#")][4:] == [
        f"# content mask: where.png, sha256 {HASH}",
        "# mask of style 2: part.png",
        f"# protected: keep.png, sha256 {HASH}",
        "# style scales: 0.5, 2",
        "# style parts: fine, all",
    ]
    assert Recipe.from_toml(said) == RECIPE


def test_the_document_has_its_form_and_nothing_of_a_folder() -> None:
    document = json.loads(MEMORY.to_json())
    assert list(document) == [
        "impasto",
        "version",
        "recipe",
        "content",
        "styles",
        "content_mask",
        "style_masks",
        "protect",
        "style_scales",
        "style_parts",
        "init",
        "size",
        "finished",
    ]
    assert document["impasto"] == 1
    assert document["recipe"] == RECIPE.to_table()
    assert document["styles"][1] == {"name": "memory", "sha256": None, "weight": 0.3}
    for path in ("/home/ann/secret/photo.jpg", r"C:\secret\photo.jpg", "secret/photo.jpg", "photo.jpg"):
        assert plain_name(path) == "photo.jpg"
    assert len(plain_name("a" * 5000)) <= 255


def refused(text: str) -> str:
    with pytest.raises(PictureError) as error:
        Remembered.from_json(text, "o\x1b[31mut.png")
    message = str(error.value)
    assert message.isprintable()
    assert message.startswith(r"o\x1b[31mut.png: what it remembers")
    assert len(message) < 400
    return message


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(MEMORY.to_json()), **fields})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ('{"impasto": NaN}', "is damaged"),
        ('{"impasto": ' + "9" * 10_000 + "}", "is damaged"),
        ("[]", "no document of impasto's"),
        ('{"impasto": "1"}', "no document of impasto's"),
        ('{"impasto": true}', "no document of impasto's"),
        (changed(impasto=2), "in form 2, and this impasto reads form 1"),
        (changed(impasto=10**3000), "in form 1000"),
        (changed(extra=1), "unknown: extra"),
        ('{"impasto": 1}', "missing or unknown: content"),
        (changed(recipe=[]), "recipe is no table"),
        (changed(recipe={"sizes": 3}), "no field 'sizes'; did you mean 'size'"),
        (changed(recipe={"size": -1}), "size is -1"),
        (changed(recipe={"terms": [{"loss": {}}]}), "is not valid"),
        (changed(recipe={"terms": [{"loss": "gram", "layers": {"../x": 1}}]}), "is not valid"),
        (changed(recipe={"optimizer": {"name": []}}), "is not valid"),
        (changed(recipe={"name": "\x1b]0;owned\x07" * 9, "network": "\x1b[2J" * 1000}), "is not valid"),
        (changed(content={"name": "../photo.jpg", "sha256": None}), "no plain file name"),
        (changed(content={"name": "photo.jpg", "sha256": HASH.upper()}), "sha256 of content"),
        (changed(content={"name": "photo.jpg"}), "no table of name"),
        (changed(styles={}), "styles is no list"),
        (changed(styles=[{"name": "a", "sha256": None}]), "a style is no table"),
        (changed(styles=[{"name": "a", "sha256": None, "weight": 2}]), "not within 0 to 1"),
        (changed(styles=[{"name": "a", "sha256": None, "weight": 10**400}]), "is not valid"),
        (changed(content_mask={"name": "../m.png", "sha256": None}), "the name of content_mask is no plain"),
        (changed(protect={"name": "m.png", "sha256": "f"}), "the sha256 of protect"),
        (changed(protect=[]), "protect is no table"),
        (changed(style_masks=[None]), "style_masks is no list with one for each style"),
        (changed(style_masks=[None, {"name": "a/b", "sha256": None}]), "the name of a style mask"),
        (changed(style_scales=None), "style_scales is no list"),
        (changed(style_scales=[1]), "style_scales is no list with one for each style"),
        (changed(style_scales=[1, 0]), "style_scales are not all above 0"),
        (changed(style_scales=[1, 10**400]), "style_scales are not all above 0"),
        (changed(style_scales=[1, True]), "style_scales are not all above 0"),
        (changed(style_parts=["all"]), "style_parts is no list"),
        (changed(style_parts=["all", "\x1b[2J"]), "style_parts are not all of all, fine, coarse"),
        (changed(style_parts=["all", []]), "style_parts are not all of"),
        (changed(size=[0, 1]), "size is not"),
        (changed(finished=1), "finished is neither"),
        (changed(version="1" * 300), "version"),
        ('{"impasto": 1, "version": "' + "a" * MOST_BYTES + '"}', "over the limit of 1,000,000 bytes"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    assert words in refused(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        [
            *RECIPE.to_table(),
            "version",
            "content",
            "styles",
            "init",
            "size",
            "finished",
            "content_mask",
            "protect",
            "style_masks",
            "style_scales",
            "style_parts",
        ]
    ),
    json_values,
)
def test_anything_anywhere_is_valid_or_refused_in_one_line(name: str, value: Any) -> None:
    document = json.loads(MEMORY.to_json())
    (document if name in document else document["recipe"])[name] = value
    try:
        said = Remembered.from_json(json.dumps(document, allow_nan=True), "a.png").to_toml()
    except PictureError as error:
        said = str(error)
    assert all(line.isprintable() for line in said.split("\n"))


def test_nothing_that_is_shown_moves_the_cursor() -> None:
    nasty = "\x1b[2J\x9b31m\u202e\r\n\x07"
    text = changed(version=nasty, recipe={"name": nasty, "description": nasty}, content={"name": nasty, "sha256": None})
    shown = Remembered.from_json(text, "a.png").to_toml()
    assert all(line.isprintable() for line in shown.split("\n"))
    assert Recipe.from_toml(shown).description == nasty
