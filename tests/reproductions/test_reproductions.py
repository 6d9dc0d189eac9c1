"""The figures of the paper: what is painted for each panel, and the sheet of all panels."""

import ast
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import impasto
from impasto import Job, Picture, Recipe, UsageError
from impasto.picture import read_picture
from impasto.recipe import presets
from impasto.recipe.terms import Content, Gram, Term, Terms
from impasto.recipe.vgg_layers import Convolution
from impasto.vgg import network
from impasto.vgg.network import VGG
from reproductions.gatys2016 import FIGURES, Cell, Figure, Panel, Settings, contact_sheet, figure_3
from reproductions.gatys2016.__main__ import main
from tests.conftest import PROJECT, small_tensors

# Two convolutions in each block, because figure 1 uses the second ones.
LAYERS = tuple(
    Convolution(f"conv{block}_{index}", 3 if block == index == 1 else 6, 6) for block in range(1, 6) for index in (1, 2)
)
SETTINGS = Settings(size=32, steps=2, seed=5, device="cpu")
CONTENT = ["relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2"]
STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]

LABELS: dict[str, list[list[Any]]] = {
    "figure_1": [
        ["style  memory", "a  conv1_1", *[f"{'bcde'[n]}  conv1_1 to conv{n + 2}_1" for n in range(4)]],
        ["content  memory", *[f"{'abcde'[n]}  conv{n + 1}_2" for n in range(5)]],
    ],
    "figure_3": [["A  memory", "B  memory"], [None, "B  alpha/beta 1e-3"]],
    "figure_4": [
        ["content  memory", "alpha/beta 1e-4", "alpha/beta 1e-3"],
        ["style  memory", "alpha/beta 1e-2", "alpha/beta 1e-1"],
    ],
    "figure_5": [["content  memory", "conv2_2"], ["style  memory", "conv4_2"]],
    "figure_6": [
        ["content  memory", "A  from the content", "C  from noise, seed 5", "C  from noise, seed 6"],
        ["style  memory", "B  from the style", "C  from noise, seed 7", "C  from noise, seed 8"],
    ],
    "figure_7": [["content  memory", "style  memory", "alpha/beta 1e-2"]],
}


@pytest.fixture
def photo(picture: Callable[..., Picture]) -> Picture:
    return picture(24, 32, 1)


@pytest.fixture
def style(picture: Callable[..., Picture]) -> Picture:
    return picture(40, 30, 2)


def panels(figure: Figure) -> list[Panel]:
    return [panel for row in figure.rows for panel in row if panel is not None]


def jobs(figure: Figure) -> list[Job]:
    return [panel.source for panel in panels(figure) if isinstance(panel.source, Job)]


@pytest.mark.parametrize("name", FIGURES)
def test_the_panels_and_their_labels(name: str, photo: Picture, style: Picture) -> None:
    figure = FIGURES[name](photo, [style], SETTINGS)
    assert [[panel and panel.label for panel in row] for row in figure.rows] == LABELS[name]
    inputs = [panel.source for panel in panels(figure) if panel.is_input]
    assert {id(source) for source in inputs} == {id(photo), id(style)}
    number = name.removeprefix("figure_")
    assert figure.heading[0].startswith(f"Figure {number}: ")
    assert figure.heading[1] == "gatys-2016, vgg16, 32 px (long side), 2 steps"


@pytest.mark.parametrize("name", ["figure_3", "figure_4", "figure_5", "figure_6", "figure_7"])
def test_panels_differ_from_the_recipe_in_what_the_figure_is_about(name: str, photo: Picture, style: Picture) -> None:
    base = presets.get("gatys-2016").replace(size=32, steps=(2,), seed=5)
    # A sum over positions needs a weight that is 256 times as large at 32 px as at the paper's 512 px.
    base = base.replace(terms=Terms([Term(base.terms[0].loss, 256.0), base.terms[1]]))
    expected = {
        "figure_3": [base],
        "figure_4": [base.replace(content_weight=ratio) for ratio in (1e-4, 1e-3, 1e-2, 1e-1)],
        "figure_5": [base.with_layers("content", layer) for layer in ("relu2_2", "relu4_2")],
        # By rows: from the content and two noises, then from the style and two more.
        "figure_6": [base.replace(init="content"), *(base.replace(seed=seed) for seed in (5, 6, 5, 7, 8))],
        "figure_7": [base.replace(content_weight=1e-2, init="content")],
    }[name]
    found = jobs(FIGURES[name](photo, [style], SETTINGS))
    assert [job.recipe for job in found] == expected
    assert all(job.inputs.photo is photo and job.compute.device == "cpu" for job in found)
    assert all(pictures(job) == [style] for job in found)
    starts = [job.inputs.start for job in found]
    assert starts == ([None, None, None, style, None, None] if name == "figure_6" else [None] * len(found))


def recipe_of(source: Picture | Job) -> Recipe:
    assert isinstance(source, Job)
    assert isinstance(source.recipe, Recipe)
    return source.recipe


def pictures(job: Job) -> list[object]:
    return [style.picture for style in job.inputs.styles]


def test_reconstructions_have_one_term_and_start_from_noise(photo: Picture, style: Picture) -> None:
    found = jobs(FIGURES["figure_1"](photo, [style], SETTINGS))
    base = presets.get("gatys-2016")
    for index, job in enumerate(found[:5]):
        weights = tuple((layer, 1 / (index + 1)) for layer in STYLE[: index + 1])
        assert recipe_of(job).terms == (Term(Gram(weights, "literal")),)
        assert (recipe_of(job).content_weight, recipe_of(job).style_weight) == (0.0, 1.0)
        assert job.inputs.photo is style
        assert pictures(job) == [style]
    for layer, job in zip(CONTENT, found[5:], strict=True):
        assert recipe_of(job).terms == (Term(Content(layer, "literal"), 256.0),)
        assert (recipe_of(job).content_weight, recipe_of(job).style_weight) == (1.0, 0.0)
        assert job.inputs.photo is photo
        assert pictures(job) == []
    for job in found:
        assert job.inputs.start is None
        same = ("init", "network", "activity", "pooling", "optimizer", "bounds")
        assert [getattr(recipe_of(job), name) for name in same] == [getattr(base, name) for name in same]


@pytest.mark.parametrize(("recipe", "start"), [("default", "noise"), ("gatys-2016", "grey"), ("keras", "grey")])
def test_noise_is_the_recipes_own_where_it_has_one(recipe: str, start: str, photo: Picture, style: Picture) -> None:
    settings = dataclasses.replace(SETTINGS, recipe=recipe)
    assert {recipe_of(job).init for job in jobs(FIGURES["figure_1"](photo, [style], settings))} == {start}
    from_noise = [panel for panel in panels(FIGURES["figure_6"](photo, [style], settings)) if panel.label[0] == "C"]
    assert [recipe_of(panel.source).init for panel in from_noise] == [start] * 4


def test_settings_reach_every_recipe(photo: Picture, style: Picture, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(presets.get("gatys-2016-code").replace(name="own", margin=0.1).to_toml())
    settings = Settings(recipe=file, size=48, steps=7, network="vgg19-caffe", seed=11, device="cuda:3")
    for make in FIGURES.values():
        for job in jobs(make(photo, [style], settings)):
            recipe = recipe_of(job)
            assert (recipe.size, recipe.steps, recipe.network, recipe.margin) == (48, (7,), "vgg19-caffe", 0.1)
            assert recipe.seed >= 11
            assert job.compute.device == "cuda:3"
            # The recipe's own weight is 1000; only alpha / beta matters.
            assert recipe.style_weight in (0.0, 1.0)
    assert Settings().base == presets.get("gatys-2016")
    # A mean does not grow with the picture, so the weight stays.
    assert Settings(recipe="neural-style", size=64).base == presets.get("neural-style").replace(size=64)
    assert Settings(recipe=Recipe()).base == Recipe()


def test_each_style_has_its_ratio(photo: Picture, picture: Callable[..., Picture]) -> None:
    styles = [picture(30, 40, seed) for seed in range(3)]
    found = jobs(figure_3(photo, styles, SETTINGS, ratios=[1e-3, 8e-4, 5e-3]))
    assert [recipe_of(job).content_weight for job in found] == [1e-3, 8e-4, 5e-3]
    assert [pictures(job)[0] for job in found] == styles
    figure = figure_3(photo, styles, SETTINGS, ratios=[5e-4])
    assert [recipe_of(job).content_weight for job in jobs(figure)] == [5e-4] * 3
    labels = [panel and panel.label for panel in figure.rows[1][1:]]
    assert labels == [f"{letter}  alpha/beta 5e-4" for letter in "BCD"]
    papers = jobs(figure_3(photo, [*styles, *styles], SETTINGS))
    assert [recipe_of(job).content_weight for job in papers] == [1e-3, 8e-4, 5e-3, 5e-4, 5e-4, 1e-3]
    with pytest.raises(UsageError, match="2 ratios for 3 style pictures"):
        figure_3(photo, styles, SETTINGS, ratios=[1e-3, 1e-3])


@pytest.mark.parametrize("name", FIGURES)
def test_styles_are_counted(name: str, photo: Picture, style: Picture) -> None:
    with pytest.raises(UsageError, match=r"takes .* style picture"):
        FIGURES[name](photo, [], SETTINGS)
    if name != "figure_3":
        with pytest.raises(UsageError, match="takes one style picture, not 2"):
            FIGURES[name](photo, [style, style], SETTINGS)


def test_odd_file_names_become_short_plain_labels(photo: Picture, style: Picture) -> None:
    odd = dataclasses.replace(style, source="some/Nuit\n étoilée " + "x" * 40 + ".jpg")
    panel = FIGURES["figure_7"](photo, [odd], SETTINGS).rows[0][1]
    assert panel is not None
    label = panel.label
    assert label == "style  Nuit ?toil?e " + "x" * 11
    contact_sheet(["heading"], [[Cell(label, style)]], 20)


def solid(height: int, width: int, level: float, alpha: float | None = None) -> Picture:
    plane = None if alpha is None else np.full((height, width), alpha, np.float32)
    return Picture(np.full((3, height, width), level, np.float32), plane)


def test_a_sheet_is_a_grid_with_a_line_under_each_panel() -> None:
    # A panel of 216 px has labels of 216 / 18 = 12 px, gaps of 9 px, lines of 17 px and a heading of 21 px.
    rows: list[list[Cell | None]] = [
        [Cell("first", solid(216, 300, 0.5)), Cell("second", solid(100, 100, 0.25))],
        [None, Cell("l", solid(216, 50, 0))],
    ]
    sheet = np.asarray(contact_sheet(["Heading", "settings"], rows, 216))
    # Across: gap, column of 300, gap, column of 216, gap. Down: gap, heading, settings, two rows, gap.
    assert sheet.shape == (9 + 21 + 17 + 2 * (9 + 216 + 17) + 9, 9 + 300 + 9 + 216 + 9, 3)
    top = 9 + 21 + 17 + 9
    assert (sheet[top : top + 216, 9:309] == 128).all()
    assert (sheet[top : top + 216, 318:534] == 64).all()
    below = top + 216 + 17 + 9
    assert (sheet[below : below + 216, 318:368] == 0).all()
    assert (sheet[below : below + 216 + 17, :318] == 255).all()
    captions = [
        sheet[top + 216 : top + 233, 9:309],
        sheet[top + 216 : top + 233, 318:534],
        sheet[below + 216 :, 318:534],
    ]
    for strip in (sheet[9:30], sheet[30:47], *captions):
        assert strip.min() < 100
        assert (strip[0] == 255).all()
    # "second" is wider than "first", which is wider than "l".
    first, second, last = (np.flatnonzero((strip < 255).any(axis=(0, 2))).max() for strip in captions)
    assert second > first > last
    margins = (sheet[:9], sheet[-9:], sheet[:, :9], sheet[:, -9:])
    assert all((margin == 255).all() for margin in margins)


def test_what_is_transparent_shows_the_paper() -> None:
    sheet = contact_sheet([], [[Cell("", solid(20, 30, 0.0, alpha=0.0))]], 20)
    assert sheet.getextrema() == ((255, 255),) * 3


def test_words_wider_than_their_panels_are_not_cut() -> None:
    def ink(text: str) -> int:
        cell = Cell(text, solid(20, 5, 1.0))
        sheets = contact_sheet([], [[cell, cell]], 20), contact_sheet([text], [[Cell("", cell.picture)]], 20)
        return sum(int((np.asarray(sheet) < 128).sum()) for sheet in sheets)

    # The labels side by side and the heading are three times as long, and all of their text is drawn.
    assert ink("conv5_1 conv5_1 conv5_1 ") == pytest.approx(3 * ink("conv5_1 "), rel=0.1)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, photo: Picture, style: Picture, tmp_path: Path) -> Callable[..., int]:
    """Run the command in a folder with a photo and a style, with the small network."""
    monkeypatch.setattr(
        network,
        "load",
        lambda name, activity, **settings: VGG(LAYERS, small_tensors(LAYERS), [0.5, 0.4, 0.3], **settings),
    )
    monkeypatch.chdir(tmp_path)
    photo.save("photo.png")
    style.save("style.png")

    def run(figure: str, *arguments: str) -> int:
        given = ["--content", "photo.png", "--style", "style.png", "-o", "sheet.png", "--size", "32", "--steps", "2"]
        return main([figure, *given, "--device", "cpu", *arguments])

    return run


def holds(sheet: np.ndarray, panel: np.ndarray) -> bool:
    """Whether `panel` is somewhere in `sheet`, pixel by pixel."""
    height, width = panel.shape[:2]
    corners = np.argwhere((sheet[: 1 - height, : 1 - width] == panel[0, 0]).all(axis=2))
    return any((sheet[y : y + height, x : x + width] == panel).all() for y, x in corners)


@pytest.mark.parametrize("name", FIGURES)
def test_the_command_paints_a_figure(
    name: str, command: Callable[..., int], photo: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(name, "--keep", "panels") == 0
    count = sum(label is not None and "memory" not in label for row in LABELS[name] for label in row)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == count + 1
    assert all(re.fullmatch(rf"{n}/{count}  .+: \d+\.\d s", line) for n, line in enumerate(lines[:-1], start=1))
    sheet = read_picture("sheet.png").to_numpy()
    assert lines[-1] == f"saved {sheet.shape[1]}x{sheet.shape[0]}, to sheet.png"
    kept = sorted(Path("panels").iterdir())
    assert len(kept) == count
    pictures = [read_picture(path).to_numpy() for path in kept]
    assert len({picture.tobytes() for picture in pictures}) == count
    # The styles of figure 1 are shown at their own size, 32 px high, and the other panels are scaled to it.
    highest = max(picture.shape[0] for picture in pictures)
    assert highest == (32 if name == "figure_1" else 24)
    for picture in pictures:
        if picture.shape[0] == highest:
            assert holds(sheet, picture)
    if highest == 24:
        assert holds(sheet, photo.to_numpy())


def test_a_start_is_where_it_says(command: Callable[..., int], photo: Picture, style: Picture) -> None:
    # After one step the picture is the start, or differs from it by one small step.
    assert command("figure_6", "--steps", "1", "--keep", "panels") == 0
    by_name = {path.stem.split("-", 2)[2]: read_picture(path).pixels for path in Path("panels").iterdir()}
    assert np.abs(by_name["a-from-the-content"] - photo.pixels).mean() < 0.03
    stretched = style.to_pil().resize((32, 24))
    distance = np.abs(by_name["b-from-the-style"] - np.asarray(stretched).transpose(2, 0, 1) / 255).mean()
    assert distance < 0.08
    assert distance < 0.5 * np.abs(by_name["b-from-the-style"] - photo.pixels).mean()


@pytest.mark.parametrize(
    ("figure", "arguments", "code", "message"),
    [
        ("figure_4", ["--content", "none.png"], 1, "none.png: "),
        ("figure_4", ["--style", "style.png"], 2, "figure 4 takes one style picture, not 2"),
        ("figure_4", ["--ratio", "1e-3"], 2, "--ratio is for figure_3"),
        ("figure_3", ["--ratio", "-1"], 2, "content_weight is -1.0"),
        ("figure_2", [], 2, "invalid choice: 'figure_2'"),
        ("figure_5", ["--size", "small"], 2, "invalid int value: 'small'"),
        ("figure_5", ["--size", "3"], 2, "size is 3; expected"),
        ("figure_5", ["--steps", "0"], 2, "steps is 0; expected"),
        ("figure_5", ["--recipe", "gatys"], 2, "there is no recipe 'gatys'"),
        ("figure_5", ["--network", "vgg11"], 2, "network is 'vgg11'"),
        ("figure_1", ["--recipe", "texture"], 2, "has no content term"),
        ("figure_7", ["-o", "sheet.xyz"], 2, "unknown ending"),
        ("figure_7", ["-o", "photo.png", "--force"], 2, "photo.png: "),
        ("figure_7", ["--keep", "photo.png"], 2, "photo.png: is no folder"),
        ("figure_7", ["--device", "gpu"], 2, "device 'gpu' is unknown"),
    ],
)
def test_a_wrong_request_is_one_line(
    figure: str,
    arguments: list[str],
    code: int,
    message: str,
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(figure, *arguments) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("reproductions.gatys2016: ")
    assert message in error
    assert not Path("sheet.png").exists()


def test_a_sheet_is_replaced_only_if_asked_to(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    Path("sheet.png").write_text("mine")
    assert command("figure_7") == 2
    assert "--force" in capsys.readouterr().err
    assert Path("sheet.png").read_text() == "mine"
    assert command("figure_7", "--force") == 0
    assert read_picture("sheet.png").width > 3 * 32


def test_reproductions_use_what_everyone_can_use() -> None:
    public: dict[str, set[str] | None] = {
        "impasto": set(vars(impasto)["__all__"]) | {"terms"},
        "impasto.recipe.terms": None,
        "impasto.picture": None,
    }
    seen = set()
    for path in (PROJECT / "reproductions").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("impasto.") for alias in node.names)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("impasto"):
                names = {alias.name for alias in node.names}
                assert node.module in public, f"{path}: {node.module}"
                allowed = public[node.module]
                assert allowed is None or names <= allowed, f"{path}: {names}"
                seen.add(node.module)
    assert seen == set(public)
