"""A batch that is started again, beside its own pictures, and among files and names that are not as usual."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from impasto.batches import inputs, manifest, templates
from impasto.cli import command
from impasto.errors import OutputError, UsageError
from impasto.executors import storage
from impasto.picture import Picture, read_picture
from impasto.recipe import presets
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = ["--size", "32", "--start-size", "16", "--steps", "2", "--device", "cpu", "--on", "inline", "-r", "mine.toml"]


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]
) -> Path:
    """The folder of two photos is the working directory; the style is beside it."""
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate(("a", "b")):
        picture(24, 32, seed).save(tmp_path / "photos" / f"{name}.png")
    picture(40, 30, 8).save(tmp_path / "paint.png")
    monkeypatch.chdir(tmp_path / "photos")
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    Path("mine.toml").write_text(presets.get("default").with_layers("content", "relu4_1").to_toml())
    return tmp_path


def batch(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["batch", *arguments, *QUICK])


@pytest.mark.parametrize("photos", [".", "*.png", "**/*.png"])
def test_a_batch_beside_its_photos_does_not_paint_its_own_pictures(photos: str, folder: Path) -> None:
    arguments = (photos, "../paint.png", "--save-every", "1")
    assert batch(*arguments).exit_code == 0
    painted = ["a_paint.png", "b_paint.png"]
    assert sorted(path.name for path in Path().glob("*_paint.png")) == painted
    Path("b_paint.png").unlink()
    # What an interrupted picture leaves is no photo either.
    Path("c_paint.png.impasto").mkdir()
    read_picture("a.png").save("c_paint.png.impasto/frame-000001.png")
    again = batch(*arguments)
    assert again.exit_code == 0, again.output
    assert "note: left out, painted by this batch: " in again.stderr
    assert "a_paint.png" in again.stderr
    assert sorted(path.name for path in Path().glob("*_paint.png")) == painted
    # Another style later: the pictures of the first are in the log.
    read_picture("../paint.png").save("../other.png")
    assert batch(photos, "../other.png").exit_code == 0
    assert sorted(path.name for path in Path().glob("*_other.png")) == ["a_other.png", "b_other.png"]


def test_a_picture_painted_over_itself_is_refused_and_not_left_out(folder: Path) -> None:
    result = batch(".", "../paint.png", "-o", "{content}.png")
    assert isinstance(result.exception, OutputError)
    assert "same file as the input" in str(result.exception)


def test_files_that_are_no_pictures_are_named_and_pictures_are_known_by_content(folder: Path) -> None:
    Path("a.png").rename("a.jfif")
    Path("b.png").rename("noending")
    Path("loop.png").symlink_to("loop.png")
    Path("notes.txt").write_text("no picture")
    result = batch(".", "../paint.png")
    assert result.exit_code == 1
    assert "note: left out, no pictures: ./mine.toml, ./notes.txt" in result.stderr
    assert "loop.png" in result.stderr
    assert {path.name for path in Path().glob("*_paint.png")} == {"a_paint.png", "noending_paint.png"}


@pytest.mark.skipif(sys.platform == "win32", reason="names are shorter there")
def test_names_that_are_too_long_stop_no_other_picture(folder: Path) -> None:
    longest = "n" * 251 + ".png"
    Path("b.png").rename(longest)
    result = batch(".", "../paint.png")
    assert result.exit_code == 1
    assert "File name too long" in result.output + result.stderr
    assert Path("a_paint.png").exists()
    # The name of the picture fits, that of its checkpoints does not.
    result = batch(longest, "../paint.png", "-o", "{content}.png", "--checkpoint", "auto")
    assert isinstance(result.exception, OutputError)
    Path("out").mkdir()
    assert batch(longest, "../paint.png", "-o", "out/{content}.png").exit_code == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_stops_no_other_picture(folder: Path) -> None:
    Path("closed").mkdir(mode=0o500)
    Path("l.jsonl").write_text(
        "\n".join(json.dumps({"content": f"{name}.png", "output": f"{to}/x.png"}) for name, to in ("ao", "bc"))
        .replace("o/x", "open/x")
        .replace("c/x", "closed/x")
    )
    assert batch("l.jsonl", "../paint.png").exit_code == 1
    assert Path("open/x.png").exists()


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_names_in_a_store_are_literal(scheme: str, folder: Path) -> None:
    for old, new in (("a", "IMG::1"), ("b", "IMG[2]*")):
        Path(f"{old}.png").rename(f"{new}.png")
    place = f"{folder}/st[1]ore" if scheme == "file" else "/st[1]ore"
    target = f"{scheme}://{place}/{{content}}.png"
    assert batch(".", "../paint.png", "-o", target).exit_code == 0
    for name in ("IMG::1", "IMG[2]*"):
        content = storage.read(target.format(content=name))
        assert content is not None
        assert content.getvalue().startswith(b"\x89PNG")
    if scheme == "file":
        assert sorted(path.name for path in Path(place).iterdir()) == ["IMG::1.png", "IMG[2]*.png"]


def test_one_file_by_a_url_and_by_a_path_is_one(tmp_path: Path) -> None:
    for second in (f"file://{tmp_path}/x/../one.png", str(tmp_path / "one.png")):
        with pytest.raises(OutputError, match="would be the output of both"):
            templates.check_distinct([("a", f"file://{tmp_path}/one.png"), ("b", second)], [])
    with pytest.raises(OutputError, match="would be the output of both"):
        templates.check_distinct([("a", "s3://user:word@b/o/one.png"), ("b", "s3://b/o//one.png")], [])


@pytest.mark.parametrize("name", ["...png", "..png", ".. .png"])
def test_a_name_of_dots_leads_to_no_other_folder(name: str) -> None:
    values = templates.placeholder_values(f"in/{name}", [f"in/{name}"], "r", 64, 1)
    for text in ("o/{content}/x.png", "o/{style}/x.png"):
        assert ".." not in Path(templates.expand(text, values)).parts


@pytest.mark.parametrize(
    "text",
    [
        "content,style,size\na.png,s.png;t.png,32\n",
        ",content,style,size\n0,a.png,s.png;t.png,32.0\n",
        "Unnamed: 0,content,style,size\n0,a.png,s.png;t.png,32\n",
        "content,style,size,\na.png,s.png;t.png,32,\n",
        'content;style;size\na.png;"s.png;t.png";32\n',
        "content\tstyle\tsize\na.png\ts.png;t.png\t32\n",
        " Content , STYLE, Size\n a.png , s.png;t.png, 32 \n\n,,\n",
        "\ufeffcontent,style,size\r\na.png,s.png;t.png,32\r\n",
    ],
)
def test_tables_as_programs_write_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(text, encoding="utf-8", newline="")
    (item,) = manifest.read(str(tmp_path / "l.csv"))
    assert (item.content, item.styles, dict(item.settings)) == ("a.png", ("s.png", "t.png"), {"size": "32"})


@pytest.mark.parametrize("text", ["photo,style\na,b\n", "a.png,s.png\n", "", "content,content\na,b\n"])
def test_a_table_without_its_columns_says_which(text: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UsageError, match=r"line 1: has (no column content|two columns)"):
        manifest.read(str(tmp_path / "l.csv"))


def test_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="names no picture"):
        inputs.list_files(str(tmp_path / "empty"))
