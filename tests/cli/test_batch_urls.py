"""`impasto batch -o ftp://...`: pictures written to a real FTP server, which runs on this machine."""

import dataclasses
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from click.testing import CliRunner, Result
from fsspec import AbstractFileSystem
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer

from impasto.batches.batch import measure_inputs, with_digests
from impasto.cli import command
from impasto.errors import ImpastoError, OutputError
from impasto.executors import storage
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.executors.worker import paint
from impasto.jobs.output import Output
from impasto.picture import Picture, remembered
from impasto.recipe import Compute, Inputs, presets
from impasto.system.paths import is_url
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = ["--size", "32", "--start-size", "16", "--steps", "2", "--device", "cpu"]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server on this machine, and the folder that it serves; `guest` there may only read."""
    root = tmp_path / "far"
    root.mkdir()
    known = DummyAuthorizer()
    known.add_user("me", "secret", str(root), perm="elradfmwMT")
    known.add_user("guest", "secret", str(root), perm="elr")
    handler = type("Handler", (FTPHandler,), {"authorizer": known})
    server = ThreadedFTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"handle_exit": False}, daemon=True)
    thread.start()
    yield f"ftp://me:secret@127.0.0.1:{server.address[1]}", root
    server.close_all()


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]
) -> Path:
    """A working directory with two photos, a style and a recipe."""
    here = tmp_path / "here"
    (here / "photos").mkdir(parents=True)
    for seed, name in enumerate("ab"):
        picture(24, 32, seed).save(here / "photos" / f"{name}.png")
    picture(40, 30, 8).save(here / "s.png")
    (here / "mine.toml").write_text(presets.get("default").with_layers("content", "relu4_1").to_toml())
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    return here


def run(url: str, *more: str) -> Result:
    arguments = ["batch", "photos", "s.png", "-o", url, "--on", "inline", "-r", "mine.toml", *QUICK, *more]
    return CliRunner().invoke(command, arguments)


def good(result: Result) -> list[str]:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stderr.splitlines()


def test_pictures_go_there_and_are_found_there(far: tuple[str, Path], folder: Path, tmp_path: Path) -> None:
    url, root = far
    said = good(run(f"{url}/out/deep/{{content}}.png"))
    assert said[-1].startswith("painted 2")
    there = root / "out" / "deep"
    assert sorted(path.name for path in there.iterdir()) == ["a.png", "b.png"]
    # The same bytes as written to a path, and no temporary file is left.
    good(run("near/{content}.png"))
    assert all((there / name).read_bytes() == (folder / "near" / name).read_bytes() for name in ("a.png", "b.png"))
    assert list((tmp_path / "cache" / "impasto" / "outgoing").iterdir()) == []
    # The password is neither in the log nor in the output.
    log = folder / "impasto-batch.jsonl"
    assert "secret" not in log.read_text() + "\n".join(said)
    assert "ftp://127.0.0.1" in said[0]
    before = {path.name: path.stat().st_mtime_ns for path in there.iterdir()}
    assert good(run(f"{url}/out/deep/{{content}}.png"))[0] == "2 of 2 are there"
    # Without the log, the pictures' provenance is read.
    log.unlink()
    assert good(run(f"{url}/out/deep/{{content}}.png"))[0] == "2 of 2 are there"
    assert before == {path.name: path.stat().st_mtime_ns for path in there.iterdir()}
    (there / "a.png").unlink()
    assert good(run(f"{url}/out/deep/{{content}}.png"))[0] == "1 of 2 are there"
    assert remembered(there / "a.png").finished


def test_what_is_not_ours_stays(far: tuple[str, Path], folder: Path) -> None:
    url, root = far
    (root / "a.png").write_bytes(b"somebody's")
    result = run(f"{url}/{{content}}.png")
    assert isinstance(result.exception, OutputError)
    assert "a.png: exists already, and is no picture of this batch" in str(result.exception)
    assert (root / "a.png").read_bytes() == b"somebody's"
    good(run(f"{url}/{{content}}.png", "--force"))
    assert remembered(root / "a.png").finished


def test_a_picture_that_cannot_be_sent_is_not_lost(far: tuple[str, Path], folder: Path) -> None:
    url, root = far
    result = run(url.replace("me:", "guest:") + "/{content}.png", "--json")
    assert result.exit_code == 1
    failed = [json.loads(line) for line in result.stdout.splitlines() if "picture_failed" in line]
    assert len(failed) == 2
    where = Path(failed[0]["reason"].rpartition("the picture is in ")[2])
    assert remembered(where).finished
    assert list(root.iterdir()) == []


def test_what_breaks_off_leaves_no_half_picture(
    far: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, root = far
    file = tmp_path / "file"
    file.write_bytes(b"new")
    storage.upload(file, f"{url}/a.png")

    monkeypatch.setattr(FTPHandler, "ftp_RNTO", lambda self, path: self.respond("550 no."))
    file.write_bytes(b"newer")
    with pytest.raises(OutputError, match=r"a\.png: cannot be reached or written"):
        storage.upload(file, f"{url}/a.png")
    assert {path.name: path.read_bytes() for path in root.iterdir()} == {"a.png": b"new"}


@pytest.mark.parametrize(
    ("url", "more", "expected"),
    [
        ("nowhere://b/{content}.png", [], "Protocol not known: nowhere"),
        ("ftp://127.0.0.1:1/{content}.png", [], "ftp://127.0.0.1:1/a.png: cannot be reached"),
        ("ftp://127.0.0.1:1/{content}.png", ["--proof", "p.icc"], "leave them out"),
        ("ftp://127.0.0.1:1/{content}.png", ["--save-every", "1"], "leave them out"),
        ("ftp://127.0.0.1:1/out.png", [], "would be the output of both"),
        ("ftp://127.0.0.1:1/{content}.doc", [], ".doc"),
    ],
)
def test_one_line_says_what_is_wrong(url: str, more: list[str], expected: str) -> None:
    result = run(url, *more)
    assert isinstance(result.exception, ImpastoError), (result.output, result.exception)
    assert expected in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_worker_that_died_after_sending_sends_nothing_again(far: tuple[str, Path], folder: Path) -> None:
    url, root = far
    url += "/a.png"
    recipe = presets.resolve("mine.toml").replace(size=32, start_size=16, steps=(2,))
    task = Task(
        Inputs.of("photos/a.png", "s.png"),
        recipe,
        Output(str(storage.staging_path(url))),
        compute=Compute("cpu"),
        url=url,
    )
    task = with_digests(task, measure_inputs([task]))

    def ended(task: Task) -> Outcome:
        painting = paint(task, lambda: False)
        while True:
            try:
                next(painting)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome

    first = ended(task)
    assert first.status == "painted"
    again = ended(dataclasses.replace(task, attempt=1))
    assert (again.status, again.mark) == ("there", first.mark)
    assert first.mark == storage.etags([url])[url] != ""
    (root / "a.png").unlink()
    assert ended(dataclasses.replace(task, attempt=1)).status == "painted"


def test_what_is_a_url() -> None:
    assert [is_url(each) for each in ("s3://b/x.png", "file:///x.png", "C://x.png", "out/x.png", "-", None)] == [
        *(True, True, False, False, False, False)
    ]
    assert storage.without_password("ftp://me:secret@h:1/x.png") == "ftp://h:1/x.png"
    assert storage.staging_path("s3://b/x.png").name.endswith("-x.png")
    assert storage.staging_path("s3://b/x.png") != storage.staging_path("s3://c/x.png")


class Buckets(AbstractFileSystem):  # type: ignore[misc]
    """A store without folders, with one bucket, as S3 answers."""

    protocol = "buckets"

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[object]:
        raise FileNotFoundError(path)

    def exists(self, path: str, **_: Any) -> bool:
        return path == "known"


def test_a_misspelt_bucket_is_said_before_anything_is_painted() -> None:
    fsspec.register_implementation("buckets", Buckets, clobber=True)
    assert storage.etags(["buckets://known/deep/a.png"]) == {}
    with pytest.raises(OutputError, match=r"^buckets://knwn/a\.png: .*there is no knwn"):
        storage.etags(["buckets://knwn/a.png"])


NAMES = ("IMG::1", "IMG::2", "a[1]", "a*", "b#1", "b#2", "c?x", "d%20", "e:e", "f@f")


@pytest.mark.parametrize("place", ["memory://{content}/x.png", "memory://d[1]/e*/{content}.png", "ftp", "file"])
def test_every_name_is_literal_and_no_two_pictures_are_one(place: str, far: tuple[str, Path], folder: Path) -> None:
    place = {"ftp": f"{far[0]}/d[1]/{{content}}.png", "file": f"file://{folder}/d[1]/{{content}}.png"}.get(place, place)
    for name in NAMES:
        shutil.copy("photos/a.png", f"photos/{name}.png")
    fsspec.filesystem("memory").store.clear()
    assert good(run(place))[-1].startswith("painted 12")
    if place.startswith("memory"):
        stored = {path: file.getvalue() for path, file in fsspec.filesystem("memory").store.items()}
        expected = {"/" + place.removeprefix("memory://").replace("{content}", name) for name in (*NAMES, "a", "b")}
    else:
        root = far[1] if place.startswith("ftp") else folder
        stored = {path.name: path.read_bytes() for path in (root / "d[1]").glob("*.png")}
        expected = {f"{name}.png" for name in (*NAMES, "a", "b")}
    assert set(stored) == expected
    for path, data in stored.items():
        content = remembered(io.BytesIO(data)).content
        assert content is not None
        assert content.name.removesuffix(".png") in path
    assert good(run(place))[0] == "12 of 12 are there"


def test_a_store_that_cannot_be_reached_stops_no_other(far: tuple[str, Path], folder: Path) -> None:
    rows = [{"content": "photos/a.png", "output": "ftp://127.0.0.1:1/a.png"}, {"content": "photos/b.png"}]
    Path("list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ["list.jsonl", "s.png", "-o", f"{far[0]}/{{content}}.png", "--on", "inline", "-r", "mine.toml", *QUICK]
    result = CliRunner().invoke(command, ["batch", *arguments])
    assert result.exit_code == 1
    assert "ftp://127.0.0.1:1/a.png: cannot be reached" in result.stderr
    assert remembered(far[1] / "b.png").finished


def test_a_file_of_this_machine_is_written_by_its_url_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"new")
    url = f"file://{tmp_path}/d[1]/IMG::1 #2?*.png"
    storage.upload(tmp_path / "file", url)
    assert [path.name for path in (tmp_path / "d[1]").iterdir()] == ["IMG::1 #2?*.png"]
    content = storage.read(url)
    assert content is not None
    assert content.read() == b"new"
    assert storage.etags([url])[url] == storage.etag(url) != ""


def test_one_file_under_two_addresses_is_refused(folder: Path) -> None:
    same = [
        ("memory://d/x.png", "memory:///d//x.png"),
        ("s3://b/x.png", "s3a://b/y/../x.png"),
        ("ftp://me:secret@host/x.png", "ftp://me@host:21/x.png"),
        (f"file://{folder}/x.png", "x.png"),
        ("memory://d/caf\u00e9.png", "memory://d/cafe\u0301.png"),
        ("caf\u00e9.png", "CAFE\u0301.png"),
    ]
    for first, second in same:
        rows = [{"content": "photos/a.png", "output": first}, {"content": "photos/b.png", "output": second}]
        Path("list.jsonl").write_text("\n".join(map(json.dumps, rows)))
        result = CliRunner().invoke(command, ["batch", "list.jsonl", "s.png", "-r", "mine.toml", *QUICK])
        assert isinstance(result.exception, OutputError), (first, second, result.output)
        assert "would be the output of both" in str(result.exception)
    # Two containers of Azure are two different stores.
    first, second = "abfss://one@account.net/x.png", "abfss://two@account.net/x.png"
    assert storage.file_identity(first) != storage.file_identity(second)
    assert storage.staging_path(first) != storage.staging_path(second)
