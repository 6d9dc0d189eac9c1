"""Contact sheets: positions, the fitting of texts, and what is drawn."""

import itertools
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

import impasto
from impasto.errors import PictureError, UsageError
from impasto.picture import Picture
from impasto.sheets import Axis, Board, Box, Layout, lay_out_captioned, lay_out_table
from impasto.sheets.board import PAPER
from impasto.sheets.lettering import Lettering

SIDES = st.integers(16, 300)
TEXTS = st.text(max_size=40)


def solid(height: int, width: int, *colour: float) -> Picture:
    return Picture(np.broadcast_to(np.array(colour, np.float32)[:, None, None], (3, height, width)).copy())


def inside(box: Box, layout: Layout) -> bool:
    return box.left >= 0 and box.top >= 0 and box.right <= layout.width and box.bottom <= layout.height


def apart(one: Box, other: Box) -> bool:
    return one.right <= other.left or other.right <= one.left or one.bottom <= other.top or other.bottom <= one.top


def check(layout: Layout) -> None:
    """Assert that everything is on the sheet, nothing overlaps, and every text fits into its place."""
    boxes = [*layout.cells, *(label.box for label in layout.labels)]
    assert all(inside(box, layout) for box in boxes)
    assert all(apart(one, other) for one, other in itertools.combinations(boxes, 2))
    for label in layout.labels:
        room = label.box.height if label.turned else label.box.width
        assert Lettering(label.size).width(label.text) <= room
        assert Lettering(label.size).line <= (label.box.width if label.turned else label.box.height)


@given(st.lists(TEXTS, min_size=1, max_size=7), SIDES, SIDES, st.none() | st.integers(1, 9))
def test_captioned_pictures_are_apart(captions: list[str], height: int, width: int, columns: int | None) -> None:
    layout = lay_out_captioned(captions, height, width, columns)
    check(layout)
    assert {(box.height, box.width) for box in layout.cells} == {(height, width)}
    assert len({box.left for box in layout.cells}) <= (columns or len(captions))


@given(
    st.lists(TEXTS, min_size=1, max_size=4),
    st.none() | st.lists(TEXTS, min_size=1, max_size=3),
    st.lists(TEXTS, max_size=3),
    SIDES,
    SIDES,
)
def test_tables_are_apart(
    across: list[str], down: list[str] | None, blocks: list[str], height: int, width: int
) -> None:
    rows = None if down is None else Axis("style-scale", tuple(down))
    layout = lay_out_table(Axis("content-weight", tuple(across)), rows, blocks, height, width)
    check(layout)
    assert len(layout.cells) == len(across) * len(down or [None]) * max(1, len(blocks))


def test_heads_are_centred_over_their_columns_and_beside_their_rows() -> None:
    layout = lay_out_table(Axis("content-weight", ("0.1", "1")), Axis("size", ("a", "b", "c")), [], 60, 90)
    heads = {label.text: label.box for label in layout.labels}
    for column, text in enumerate(("0.1", "1")):
        for row in range(3):
            cell = layout.cells[2 * row + column]
            assert abs(2 * heads[text].left + heads[text].width - (2 * cell.left + cell.width)) <= 1
            assert heads[text].bottom <= cell.top
    for row, text in enumerate("abc"):
        for column in range(2):
            cell = layout.cells[2 * row + column]
            assert abs(2 * heads[text].top + heads[text].height - (2 * cell.top + cell.height)) <= 1
            assert heads[text].right <= cell.left


def test_gutters_are_even() -> None:
    layout = lay_out_captioned(list("abcdef"), 100, 100, 3)
    lefts = sorted({box.left for box in layout.cells})
    gaps = {after - before - 100 for before, after in itertools.pairwise(lefts)}
    assert gaps == {lefts[0]} == {layout.width - lefts[-1] - 100} == {min(box.top for box in layout.cells)}


def test_columns_that_nobody_chose_make_a_sheet_for_a_screen() -> None:
    for count in (1, 2, 6, 12, 30):
        layout = lay_out_captioned(["x"] * count, 100, 100)
        assert 0.7 < layout.width / layout.height < 2.5


@given(TEXTS, st.integers(0, 200))
def test_a_fitted_text_fits_and_is_one_line(text: str, width: int) -> None:
    fitted = Lettering(14).fit(text, width)
    assert Lettering(14).width(fitted) <= width
    assert fitted.isprintable()


def test_a_long_text_is_shortened_in_the_middle() -> None:
    fitted = Lettering(14).fit("beginning" + "x" * 1000 + "end.png", 120)
    begin, _, end = fitted.partition("\N{HORIZONTAL ELLIPSIS}")
    assert begin.startswith("begin")
    assert end.endswith("end.png")
    assert Lettering(14).width(fitted) > 90


def test_control_characters_are_escaped() -> None:
    assert Lettering(14).fit("a\x1b[31m\nb\u202e", 1000) == r"a\x1b[31m\nb\u202e"


@pytest.fixture(autouse=True, scope="module")
def no_fonts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Simulate a system without fonts; macOS and Windows always have some."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_DIRS", "XDG_DATA_HOME"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "nowhere"))
        yield


@pytest.fixture
def fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all fonts of this system, which is empty."""
    if sys.platform in ("win32", "darwin"):
        pytest.skip("these systems' own fonts are always there")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "fonts" / "truetype"
    folder.mkdir(parents=True)
    return folder


def font_of_one_letter(letter: str) -> bytes:
    """A TrueType font (ISO 14496-22) with an empty square for letters that it lacks, and a triangle for one."""

    def glyph(points: list[tuple[int, int]]) -> bytes:
        (left, right), (low, high) = ((min(values), max(values)) for values in zip(*points, strict=True))
        steps = [(x - a, y - b) for (x, y), (a, b) in zip(points, [(0, 0), *points], strict=False)]
        header = struct.pack(">hhhhhHH", 1, left, low, right, high, len(points) - 1, 0) + b"\1" * len(points)
        body = struct.pack(f">{2 * len(points)}h", *(x for x, _ in steps), *(y for _, y in steps))
        return (header + body).ljust(-(-len(header + body) // 4) * 4, b"\0")

    square = glyph([(100, 0), (100, 700), (900, 700), (900, 0)])
    triangle = glyph([(100, 0), (500, 700), (900, 0)])
    code = ord(letter)
    segments = struct.pack(">7H", 4, 32, 0, 4, 4, 1, 0) + struct.pack(
        ">2HH2H2h2H", code, 0xFFFF, 0, code, 0xFFFF, 1 - code if code < 0x8000 else 1 - code + 65536, 1, 0, 0
    )
    tables = {
        b"cmap": struct.pack(">HHHHI", 0, 1, 3, 1, 12) + segments,
        b"glyf": square + triangle,
        b"head": struct.pack(
            ">IIIIHHQQhhhhHHhhh", 0x10000, 0, 0, 0x5F0F3CF5, 0, 1000, 0, 0, 0, 0, 1000, 1000, 0, 8, 2, 1, 0
        ),
        b"hhea": struct.pack(">IhhhH", 0x10000, 800, -200, 0, 1000) + bytes(22) + struct.pack(">H", 2),
        b"hmtx": struct.pack(">HhHh", 1000, 100, 1000, 100),
        b"loca": struct.pack(">3I", 0, len(square), len(square + triangle)),
        b"maxp": struct.pack(">IH13H", 0x10000, 2, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    at, directory, body = 12 + 16 * len(tables), b"", b""
    for name, content in tables.items():
        directory += name + struct.pack(">III", 0, at + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    return struct.pack(">IHHHH", 0x10000, len(tables), 64, 2, 48) + directory + body


def test_letters_that_no_font_has_lose_their_accent(fonts: Path) -> None:
    font = Lettering(20)
    assert font.mask("\u017c\u0119").tobytes() == font.mask("ze").tobytes()
    assert font.mask("\u6f22").tobytes() == font.mask("?").tobytes()
    assert font.lacks("a \u6f22")
    assert not font.lacks("a? \u017c")
    picture = impasto.sheet([solid(40, 60, 0, 0, 0)] * 2, ["plain", "\u6f22.png"])
    assert len(picture.notes) == 1
    assert "\u6f22.png" in picture.notes[0]
    assert "plain" not in picture.notes[0]


@pytest.mark.parametrize("letter", ["\u0416", "\u6f22", "\uac00"])
def test_letters_are_taken_from_fonts_of_the_system(fonts: Path, letter: str) -> None:
    (fonts / "broken.ttf").write_bytes(b"no font")
    (fonts / "readme.txt").write_bytes(b"no font")
    (fonts / "some.ttf").write_bytes(font_of_one_letter(letter))
    font = Lettering(40)
    alone = np.asarray(font.mask(letter))
    # A triangle gets wider downwards.
    widths = np.count_nonzero(alone[alone.any(axis=1)] > 127, axis=1)
    assert widths[0] < widths[-1]
    assert (np.diff(widths) >= 0).all()
    assert not font.lacks(f"a{letter}b")
    assert font.width(f"a{letter}b") > font.width("ab") + 30
    assert impasto.sheet([solid(40, 60, 0, 0, 0)], [f"a{letter}b"]).notes == ()


def test_without_freetype_there_are_still_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(size: float) -> ImageFont.FreeTypeFont:
        raise ImportError("The _imagingft C module is not installed")

    monkeypatch.setattr(ImageFont, "load_default", missing)
    small, large = Lettering(12), Lettering(40)
    assert 0 < small.width("label") < large.width("label")
    assert large.mask("label").height == large.line
    assert large.mask("label").getextrema() == (0, 255)
    assert small.width(small.fit("w" * 99 + "\u6f22", 60)) <= 60
    check(lay_out_captioned(["a long label indeed", "b"], 40, 40))


def test_pictures_of_the_cells_size_are_shown_pixel_by_pixel() -> None:
    generator = np.random.default_rng(0)
    array = generator.integers(0, 256, (40, 60, 3), np.uint8)
    layout = lay_out_captioned(["a", "b"], 40, 60, 2)
    board = Board(layout)
    board.put(1, impasto.picture.as_picture(array))
    box = layout.cells[1]
    found = board.picture().to_numpy()
    np.testing.assert_array_equal(found[box.top : box.bottom, box.left : box.right], array)
    # The first cell stays empty, in another colour than the sheet.
    empty = found[layout.cells[0].top, layout.cells[0].left]
    assert not np.array_equal(empty, PAPER)


def test_labels_are_drawn_in_their_boxes_only() -> None:
    layout = lay_out_table(Axis("gp", ("jg", "qy")), Axis("py", ("g", "|")), ["block"], 40, 60)
    board = Board(layout)
    for index in range(4):
        board.put(index, solid(40, 60, *(value / 255 for value in PAPER)))
    found = board.picture().to_numpy()
    for label in layout.labels:
        part = found[label.box.top : label.box.bottom, label.box.left : label.box.right]
        assert part.min() < 150
        part[:] = PAPER
    assert (found == PAPER).all()


def test_all_pictures_are_as_large_as_fits() -> None:
    sheet = impasto.sheet([solid(20, 40, 1, 0, 0), solid(60, 30, 0, 0, 1)], ["", ""], columns=2, cell=80).to_numpy()
    for colour, size in (((255, 0, 0), (40, 80)), ((0, 0, 255), (80, 40))):
        rows, columns = np.nonzero((sheet == colour).all(axis=2))
        assert (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) == size


def test_paper_shows_through_what_is_transparent() -> None:
    clear = Picture(np.zeros((3, 20, 20), np.float32), np.zeros((20, 20), np.float32))
    assert (impasto.sheet([clear], [""]).to_numpy() == PAPER).all()


def test_labels_are_the_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[list[str]] = []

    def remember(labels: list[str], *rest: int) -> Layout:
        said.append(list(labels))
        return lay_out_captioned(labels, *rest)

    monkeypatch.setattr(impasto.sheets.contact, "lay_out_captioned", remember)
    for folder in ("one", "two"):
        Path(folder).mkdir()
        solid(20, 20, 0, 0, 0).save(f"{folder}/a.png")
    solid(20, 20, 0, 0, 0).save("b.png")
    impasto.sheet(["one/a.png", "b.png", Image.new("RGB", (20, 20))])
    impasto.sheet(["one/a.png", "two/a.png"])
    assert said == [["a.png", "b.png", "3"], ["one/a.png", "two/a.png"]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": ["a"]}, "1 labels for 2 pictures; give one for each"),
        ({"columns": 0}, "columns is 0; expected a whole number of at least 1"),
        ({"cell": 15}, "cell is 15; expected a whole number from 16 to 4096"),
        ({"cell": 5000}, "cell is 5000"),
    ],
)
def test_wrong_sheets(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        impasto.sheet([solid(20, 20, 0, 0, 0)] * 2, **settings)


def test_a_sheet_of_nothing_of_too_much_and_of_no_picture() -> None:
    with pytest.raises(UsageError, match="no pictures"):
        impasto.sheet([])
    with pytest.raises(UsageError, match=r"a sheet of 30 cells would have \d+x\d+ pixels; choose a smaller --cell"):
        impasto.sheet([solid(20, 20, 0, 0, 0)] * 30, cell=4096)
    with pytest.raises(PictureError, match="nothing"):
        impasto.sheet(["nothing.png"])
