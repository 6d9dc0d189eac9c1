"""The parts of a batch before anything is painted: lists, folders, names, shards and the log."""

import json
import math
import ntpath
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.batches import inputs, manifest, shards, templates
from impasto.batches.item import Item
from impasto.batches.log import BatchLog, LogEntry
from impasto.errors import OutputError, UsageError
from impasto.system import paths

SAME = {
    "list.toml": '# pictures\n[[picture]]\ncontent = "a.jpg"\nstyle = ["s.jpg", "t.jpg"]\noutput = "o/{content}.png"\n'
    '[[picture]]\ncontent = "b.jpg"\nstyle = "s.jpg"\nsize = "64"\n"optimizer.history" = "4"\n',
    "list.jsonl": '{"content": "a.jpg", "style": ["s.jpg", "t.jpg"], "output": "o/{content}.png"}\n\n'
    '{"content": "b.jpg", "style": "s.jpg", "size": "64", "optimizer.history": "4"}\n',
    "list.csv": "content,style,output,size,optimizer.history\r\na.jpg,s.jpg; t.jpg,o/{content}.png,,\r\n"
    "b.jpg,s.jpg,,64,4\r\n",
}


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("name", SAME)
def test_all_lists_say_the_same(name: str, tmp_path: Path) -> None:
    first, second = manifest.read(write(tmp_path, name, SAME[name]))
    assert (first.content, first.styles, first.output) == ("a.jpg", ("s.jpg", "t.jpg"), "o/{content}.png")
    assert (second.content, second.styles, second.output) == ("b.jpg", ("s.jpg",), None)
    assert second.settings == {"size": "64", "optimizer.history": "4"}
    lines = {"list.toml": (2, 6), "list.jsonl": (1, 3), "list.csv": (2, 3)}[name]
    assert [item.where.rpartition(" ")[2] for item in (first, second)] == [str(line) for line in lines]
    assert first.base == str(tmp_path)
    assert Item.from_table(json.loads(json.dumps(second.to_table()))) == second


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "picture = 1", "write [[picture]]"),
        ("a.toml", "[[pictures]]\ncontent = 'a'", "'pictures' outside of [[picture]]"),
        ("a.toml", "[[picture]\n", "is not TOML"),
        ("a.toml", "", "lists no picture"),
        ("a.toml", "[[picture]]\ncontent = 'a'\n\n[[picture]]\nstyle = 'b'", "line 4: names no photo"),
        ("a.jsonl", '{"content": "a"}\n{"content": ', "line 2: is not JSON"),
        ("a.jsonl", '{"content": "a"}\n\n[1, 2]', "line 3: is [1, 2]; write a table"),
        ("a.jsonl", '{"content": "a", "style": 3}', "line 1: style is 3"),
        ("a.jsonl", '{"content": "a", "style": "b", "styles": "c"}', "line 1: has both style and styles"),
        ("a.jsonl", '{"content": "a", "output": ["x"]}', "line 1: output is ['x']"),
        ("a.jsonl", "[" * 100_000, "line 1: is not JSON"),
        ("a.csv", "content,style\na,b\na,b,c\n", "line 3: has not as many values"),
        ("a.csv", "content,style\na\n", "line 2: has not as many values"),
        ("a.csv", 'content,style\na,"b\n', "is not CSV"),
        ("a.csv", "content,style\n,b\n", "line 2: names no photo"),
        ("a.csv", "photo,style\na,b\n", "line 1: names the columns, but none content ('photo, style')"),
        ("a.csv", "a.jpg;s.jpg\n", "begin the list with a line such as content,style,output"),
        ("a.csv", "content;style\na;s;t\n", "line 2: has not as many values as the first line has names (3, not 2)"),
        ("a.csv", "content,style,\na,b,c\n", "line 2: has 'c' in a column that the first line gives no name"),
        ("a.csv", "sep=;\ncontent;Content\na;b\n", "line 2: names two columns 'content'"),
        ("a.csv", ",,\n\n", "lists no picture"),
        ("a.jsonl", '{"content": "a", "Content": "b"}', "line 1: has two values of one name"),
        ("a.jsonl", '{"content": "a\\u0000"}', "line 1: 'a\\x00' is no name of a file"),
        ("a.jsonl", '{"content": "a", "style": ["\\ud800"]}', "line 1: '\\ud800' is no name of a file"),
        ("gone/a.csv", None, "cannot be read"),
    ],
)
def test_bad_lists_give_one_line_that_names_theirs(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    path = str(tmp_path / name) if text is None else write(tmp_path, name, text)
    with pytest.raises(UsageError) as caught:
        manifest.read(path)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "content,style,output,size\na.jpg,s.jpg,,64\n",
        ",content,style,output,size\n0,a.jpg,s.jpg,,64\n",
        '"","content","style","output","size"\n"1","a.jpg","s.jpg",,64\n',
        "Unnamed: 0.1;Unnamed: 0;content;style;output;size\r\n0;1;a.jpg;s.jpg;;64\r\n",
        "content,style,output,size,\na.jpg,s.jpg,,64,\n",
        "content,style,output,size,\na.jpg,s.jpg,,64\n",
        "content,style,output,size\na.jpg,s.jpg,,64,,\n,,,\n\n",
        "content;style;output;size\na.jpg;s.jpg;;64\n",
        "sep=;\ncontent;style;output;size\na.jpg;s.jpg;;64\n",
        "content\tstyle\toutput\tsize\na.jpg\ts.jpg\t\t64\n",
        "content|style|output|size\na.jpg|s.jpg||64\n",
        "Content,STYLE,Output,Size\na.jpg,s.jpg,,64\n",
        'content, style, output, size\n a.jpg ,  "s.jpg", , 64 \n',
        "\n,,,\ncontent,styles,output,size\na.jpg,s.jpg,,64\n",
    ],
)
def test_csv_as_programs_write_it(text: str, tmp_path: Path) -> None:
    (item,) = manifest.read(write(tmp_path, "list.csv", text))
    assert (item.content, item.styles, item.output, item.settings) == ("a.jpg", ("s.jpg",), None, {"size": "64"})


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        manifest.read(str(tmp_path / "a.csv"))


def test_folders_and_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p/b.JPG", "p/a.png", "p/notes.txt", "p/.hidden.png", "p/deep/c.png", "s.png", "t.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert inputs.find("p").paths == ["p/a.png", "p/b.JPG"]
    assert inputs.find("p/*.txt").paths == ["p/notes.txt"]
    assert inputs.find("p/**/*.png").paths == ["p/a.png", "p/deep/c.png"]
    each = inputs.make_items(inputs.find("p").paths, ["s.png", "t.png"], blend=False)
    assert [(item.content, item.styles) for item in each] == [
        ("p/a.png", ("s.png",)), ("p/a.png", ("t.png",)), ("p/b.JPG", ("s.png",)), ("p/b.JPG", ("t.png",)),
    ]  # fmt: skip
    assert [
        item.styles for item in inputs.make_items(inputs.find("p").paths, inputs.find("?.png").paths, blend=True)
    ] == [("s.png", "t.png")] * 2
    for nothing in ("p/*.webp", "p/deep/.."):
        (tmp_path / "p/b.JPG").unlink(missing_ok=True)
        (tmp_path / "p/a.png").unlink(missing_ok=True)
        with pytest.raises(UsageError, match="names no picture"):
            inputs.find(nothing)


def test_templates() -> None:
    values = templates.placeholder_values("in/photo.v2.jpg", ["a/x.png", "y.png"], "mine/soft.toml", 256, 7)
    assert (
        templates.expand("o/{content}-{style}-{recipe}-{size}-{n:4}.png", values) == "o/photo.v2-x_y-soft-256-0007.png"
    )
    assert templates.expand("{{{n}}}.png", values) == "{7}.png"
    hostile = templates.placeholder_values("p.png", ["s.png"], "../../x y", 64, 1)
    assert templates.expand("{recipe}", hostile) == "-..-x-y"
    assert templates.expand("{recipe}", templates.placeholder_values("p.png", [], "..", 64, 1)) == "recipe"
    # A name of dots alone does not become a folder.
    dots = templates.placeholder_values("p/...png", ["s/..png"], "r", 64, 1)
    assert templates.expand("{content}/{style}.png", dots) == "__/_.png"
    assert templates.expand(".{style}/{content}{style}", dots) == "._/___"
    # Braces in a file's name are not a placeholder.
    assert templates.expand("{content}.png", templates.placeholder_values("{n}.png", [], "r", 1, 1)) == "{n}.png"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{contents}.png", "did you mean 'content'"),
        ("{}.png", "has no placeholder"),
        ("{content.__class__}", "has no placeholder"),
        ("{content!r}.png", "only {n} takes a width"),
        ("{content:5}.png", "only {n} takes a width"),
        ("{n:99999999}.png", "only {n} takes a width"),
        ("{content.png", "is no template"),
        ("content}.png", "is no template"),
    ],
)
def test_bad_templates(template: str, message: str) -> None:
    with pytest.raises(UsageError, match="(?s)" + message.replace("{", r"\{")):
        templates.expand(template, templates.placeholder_values("p.png", ["s.png"], "r", 64, 1))


def test_collisions_and_inputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    (tmp_path / "link.png").symlink_to("photo.png")
    photo, link, one = (str(tmp_path / name) for name in ("photo.png", "link.png", "one.png"))
    templates.check_distinct([("a", one), ("b", str(tmp_path / "two.png"))], [photo])
    for second in (one, f"{tmp_path}/x/../one.png", str(tmp_path / "ONE.png")):
        with pytest.raises(OutputError, match="would be the output of both a and b"):
            templates.check_distinct([("a", one), ("b", second)], [])
    with pytest.raises(OutputError, match="is the same file as the input"):
        templates.check_distinct([("a", link)], [photo])


@given(st.lists(st.floats(1, 1e9), max_size=60), st.integers(1, 12))
def test_shards_part_and_balance(costs: list[float], count: int) -> None:
    found = shards.assign(costs, count)
    assert len(found) == len(costs)
    assert all(0 <= shard < count for shard in found)
    assert found == shards.assign(list(costs), count)
    loads = [sum(cost for cost, shard in zip(costs, found, strict=True) if shard == each) for each in range(count)]
    assert max(loads) - min(loads) <= max(costs, default=0) * (1 + 1e-9)
    if len(set(costs)) == 1:
        numbers = Counter(found)
        assert max(numbers.values()) - min(numbers[each] for each in range(count)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/3", "1/2/3", ""])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="give I/N"):
        shards.parse(text)
    assert shards.parse(" 3 / 16 ") == (3, 16)


def test_the_log_is_a_cache_that_may_be_damaged_moved_or_gone(tmp_path: Path) -> None:
    out = tmp_path / "a" / "one.png"
    out.parent.mkdir()
    out.write_bytes(b"picture")
    info = out.stat()
    digest = "c3ca84ee1bb6e3ba0bd2ec9c2dd0c26a6f1fd0e0f1bd0ba1a4c7c1b2e9ac0f0d"
    ledger = BatchLog(tmp_path / "a" / "log.jsonl", (2, 3))
    assert ledger.path.name == "log-2-of-3.jsonl"
    ledger.add(str(out), LogEntry("failed", "x", reason="why"), {"time": 1.0})
    ledger.add(str(out), LogEntry("painted", "x", digest, info.st_size, info.st_mtime_ns), {"time": 2.0})
    with ledger.path.open("ab") as file:
        file.write(b'\xff{"output": "one.png", "status": "fa')
    (tmp_path / "a").rename(tmp_path / "b")
    again = BatchLog(tmp_path / "b" / "log.jsonl").entry(str(tmp_path / "b" / "one.png"))
    assert again is not None
    assert (again.status, again.identity) == ("painted", "x")
    assert again.is_of(tmp_path / "b" / "one.png")
    (tmp_path / "b" / "one.png").write_bytes(b"another")
    assert not again.is_of(tmp_path / "b" / "one.png")
    assert BatchLog(tmp_path / "none" / "log.jsonl").entry("one.png") is None
    (tmp_path / "b").rename(tmp_path / "b[1]*")
    assert BatchLog(tmp_path / "b[1]*" / "log.jsonl").entry(str(tmp_path / "b[1]*" / "one.png")) == again
    with pytest.raises(OutputError, match="the log cannot be written"):
        BatchLog(tmp_path / "none" / "log.jsonl").add("one.png", again, {"time": 3.0})


@pytest.mark.parametrize(
    "change",
    [*({"time": time} for time in (int("9" * 400), -int("9" * 400), math.nan, math.inf, -math.inf, "x", None, [[1]])),
     {"time": 3, "styles": 5}, {"time": 3, "styles": True}, {"time": 3, "output": 5}, {"time": [[]] * 1_000_000}],
    ids=lambda change: repr(list(change.items())[-1])[:30],
)  # fmt: skip
def test_a_line_of_the_log_that_is_none_of_ours_is_passed_over(tmp_path: Path, change: dict[str, Any]) -> None:
    line = {"output": "one.png", "status": "failed", "reason": "", **change}
    sound = {"output": "one.png", "styles": [], "reason": ""}
    lines = [{**sound, "time": 2, "status": "painted"}, line, {**sound, "time": 1, "status": "failed"}]
    (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in lines))
    entry = BatchLog(tmp_path / "log.jsonl").entry(str(tmp_path / "one.png"))
    assert entry is not None
    assert entry.status == "painted"


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"time": %s}' % ("9" * 5000), "1", '"x"'])
def test_a_line_of_the_log_that_is_no_table_is_passed_over(tmp_path: Path, text: str) -> None:
    log = BatchLog(tmp_path / "log.jsonl")
    log.add(str(tmp_path / "one.png"), LogEntry("painted"), {"time": 1.0})
    with log.path.open("a") as file:
        file.write(f"{text}\n")
    assert BatchLog(tmp_path / "log.jsonl").entry(str(tmp_path / "one.png")) == LogEntry("painted")


@pytest.mark.parametrize("name", SAME)
def test_lists_that_powershell_wrote(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(SAME[name].encode("utf-16"))
    assert [item.content for item in manifest.read(str(tmp_path / name))] == ["a.jpg", "b.jpg"]


def test_the_log_has_slashes_on_windows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "os", SimpleNamespace(path=ntpath, sep="\\"))
    log = BatchLog(tmp_path / "log.jsonl")
    log.add(r"sub\a.png", LogEntry("failed"), {"time": 1.0})
    assert json.loads((tmp_path / "log.jsonl").read_text())["output"] == "sub/a.png"
    assert BatchLog(tmp_path / "log.jsonl").entry(r"sub\a.png") == LogEntry("failed")
