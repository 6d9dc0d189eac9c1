"""Downloads from a server on the loopback that has all faults of real servers."""

import dataclasses
import io
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.errors import WeightsError
from impasto.vgg import weights
from impasto.vgg.weights import download as downloading
from impasto.vgg.weights.download import DownloadListener, Patience
from tests.conftest import PROJECT
from tests.vgg.weights import samples
from tests.vgg.weights.samples import Server, Visit

pytestmark = pytest.mark.usefixtures("cache")

Answer = Callable[[Visit], None]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return samples.pth(tmp_path_factory.mktemp("made") / "small.pth", samples.by_places(samples.tensors())).read_bytes()


class Attempt:
    """Fetches from the server, and records messages and waiting times."""

    def __init__(self, server: Server, content: bytes, **changes: Any) -> None:
        self.pauses: list[float] = []
        self.notes: list[str] = []
        self.heard: list[tuple[int, int]] = []
        self.official = dataclasses.replace(samples.official(server.url, content), **changes)
        self.spec = samples.specs({"small": self.official})["small"]

    def fetch(self, **settings: Any) -> weights.Fetched:
        defaults: dict[str, Any] = {"tries": 4, "timeout": 5.0, "progress": 100, "sleep": self.pauses.append}
        patience = Patience(**defaults | settings)
        listener = DownloadListener(lambda there, total: self.heard.append((there, total)), self.notes.append)
        return weights.fetch(self.spec, listener=listener, patience=patience)

    def succeeds(self, **settings: Any) -> None:
        assert not self.fetch(**settings).already
        found = weights.load(self.spec)
        assert all(torch.equal(found[key], tensor) for key, tensor in samples.tensors().items())
        assert not parts()

    def fails(self, message: str, **settings: Any) -> str:
        with pytest.raises(WeightsError, match=message) as caught:
            self.fetch(**settings)
        said = str(caught.value)
        # One line that says what can be done by hand.
        assert "\n" not in said
        for part in (self.official.url, self.official.digest, f"{self.official.bytes} bytes", "import FILE"):
            assert part in said
        with pytest.raises(WeightsError, match="not on this machine"):
            weights.load(self.spec)
        return said


def parts() -> list[Path]:
    return [path for path in weights.folder().iterdir() if path.suffix in (".part", ".etag")]


def test_a_good_server(server: Server, content: bytes) -> None:
    server.answer = lambda visit: visit.file(content)
    attempt = Attempt(server, content)
    attempt.succeeds()
    assert attempt.heard[-1] == (len(content), len(content))
    assert len(server.visits) == 1
    entry = weights.entry("small")
    assert entry is not None
    assert entry.source["official"] is True
    # The file is here, so no server is asked again, also without a network.
    assert attempt.fetch().already
    assert len(server.visits) == 1


def test_md5_is_checked_in_full(server: Server, content: bytes) -> None:
    server.answer = lambda visit: visit.file(content)
    known = samples.official(server.url, content, "md5")
    wrong = known.digest[:-1] + ("0" if known.digest[-1] != "0" else "1")
    Attempt(server, content, algorithm="md5", digest=wrong).fails("another content came .md5")
    Attempt(server, content, algorithm="md5", digest=known.digest).succeeds()


@pytest.mark.parametrize("breaks", ["reset", "close", "stall"])
def test_a_connection_that_breaks_is_resumed(server: Server, content: bytes, breaks: str) -> None:
    def answer(visit: Visit) -> None:
        if visit.number == 2:
            visit.file(content)
            return
        start = visit.number * 300
        if start:
            visit.head(206, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}", ETag='"one"')
        else:
            visit.head(200, Content_Length=len(content), ETag='"one"')
        visit.write(content[start : start + 300])
        if breaks == "reset":
            visit.stop.wait(0.1)  # so that the data arrive before the reset
            visit.reset()
        elif breaks == "stall":
            visit.stop.wait(5)

    server.answer = answer
    attempt = Attempt(server, content)
    attempt.succeeds(timeout=0.3)
    assert [visit.range for visit in server.visits] == [None, "bytes=300-", "bytes=600-"]
    assert [visit.if_range for visit in server.visits] == [None, '"one"', '"one"']
    assert all("trying again" in note for note in attempt.notes)


def test_it_goes_on_where_an_earlier_process_stopped(server: Server, content: bytes) -> None:
    attempt = Attempt(server, content)

    def broken(visit: Visit) -> None:
        if visit.number:
            visit.head(503)
        else:
            visit.head(200, Content_Length=len(content), ETag='"one"')
            visit.write(content[:500])

    server.answer = broken
    attempt.fails("answered 503 .*, 4 times in a row")
    assert sorted(path.suffix for path in parts()) == [".etag", ".part"]
    server.visits.clear()
    server.answer = lambda visit: visit.file(content)
    attempt.succeeds()
    assert server.visits[0].range == "bytes=500-"


def test_a_server_that_ignores_ranges_starts_again_cleanly(server: Server, content: bytes) -> None:
    def answer(visit: Visit) -> None:
        visit.head(200, Content_Length=len(content))
        visit.write(content if visit.number else content[:500])

    server.answer = answer
    Attempt(server, content).succeeds()
    assert server.visits[1].range == "bytes=500-"


def test_a_file_that_has_changed_meanwhile_starts_again(server: Server, content: bytes) -> None:
    def answer(visit: Visit) -> None:
        if visit.number:
            visit.file(content, '"two"')
        else:
            visit.head(200, Content_Length=len(content), ETag='"one"')
            visit.write(b"\x80" * 500)

    server.answer = answer
    Attempt(server, content).succeeds()
    assert server.visits[1].if_range == '"one"'


@pytest.mark.parametrize("left", [b"x", b"x" * 100, "whole", "longer"])
def test_a_part_of_another_file_does_not_stay(server: Server, content: bytes, left: bytes | str) -> None:
    attempt = Attempt(server, content)
    server.answer = lambda visit: visit.file(content)
    weights.folder().mkdir(parents=True)
    lengths = {"whole": len(content), "longer": len(content) + 1}
    junk = b"x" * lengths[left] if isinstance(left, str) else left
    (weights.folder() / f"small-{attempt.official.digest[:16]}.part").write_bytes(junk)
    attempt.succeeds()
    assert server.visits[-1].range is None


def test_416_and_other_parts_start_again(server: Server, content: bytes) -> None:
    def answer(visit: Visit) -> None:
        if visit.number == 0:
            visit.head(200, Content_Length=len(content))
            visit.write(content[:500])
        elif visit.number == 1:
            visit.head(416, Content_Range="bytes */5", Content_Length=0)
        elif visit.number == 2:
            visit.head(200, Content_Length=len(content))
            visit.write(content[:500])
        elif visit.number == 3:
            visit.head(206, Content_Range=f"bytes 7-{len(content) - 1}/{len(content)}")
            visit.write(content[7:])
        else:
            visit.file(content)

    server.answer = answer
    Attempt(server, content).succeeds(tries=9)
    assert [visit.range for visit in server.visits] == [None, "bytes=500-", None, "bytes=500-", None]


def test_500_twice_and_then_it_works(server: Server, content: bytes) -> None:
    server.answer = lambda visit: visit.file(content) if visit.number == 2 else visit.head(500)
    attempt = Attempt(server, content)
    attempt.succeeds()
    assert attempt.pauses == [1, 2]


def _html(visit: Visit) -> None:
    page = b"<!DOCTYPE html><title>Log in</title>"
    visit.head(200, Content_Type="text/html", Content_Length=len(page))
    visit.write(page)


def _endless_page(visit: Visit) -> None:
    visit.head(200)
    visit.write(b"\n<html>" + b"x" * 1000)


def _redirect(visit: Visit) -> None:
    visit.head(302, Location=f"/{visit.number}", Content_Length=0)


def _leave_the_web(visit: Visit) -> None:
    visit.head(302, Location="ftp://127.0.0.1/weights", Content_Length=0)


def _longer(visit: Visit) -> None:
    visit.head(200)
    for _ in range(100):
        visit.write(b"\x80" * 10_000)


@pytest.mark.parametrize(
    ("answer", "message", "visits"),
    [
        (lambda visit: visit.head(404), "answered 404", 1),
        (lambda visit: visit.head(403), "answered 403", 1),
        (_html, "announces 36 bytes and sends a web page", 1),
        (_endless_page, "a web page came instead of the file", 1),
        (_redirect, "redirects without end", 6),
        (_leave_the_web, "not https", 1),
        (_longer, "more than the expected", 1),
        (lambda visit: visit.head(200, Content_Length=10), "announces 10 bytes where", 1),
        (lambda visit: visit.head(200, Content_Length=10**12), "announces 1000000000000 bytes where", 1),
        (lambda visit: visit.head(503), "answered 503 .* 4 times in a row", 4),
        (lambda visit: visit.head(200), "ended after 0 of", 4),
        (lambda visit: visit.reset(), "4 times in a row", 4),
        (lambda visit: visit.stop.wait(5), "4 times in a row", 4),
        (lambda visit: visit.write(b"SSH-2.0-OpenSSH\r\n"), "4 times in a row", 4),
    ],
)
def test_a_server_that_will_not(server: Server, content: bytes, answer: Answer, message: str, visits: int) -> None:
    server.answer = answer
    Attempt(server, content).fails(message, timeout=0.3)
    assert len(server.visits) == visits


def test_other_bytes_of_the_same_length_are_refused_and_removed(server: Server, content: bytes) -> None:
    server.answer = lambda visit: visit.file(bytes(len(content)))
    Attempt(server, content).fails("of the right length but another content")
    assert len(server.visits) == 1
    assert not parts()


def test_a_dribble_that_gets_nowhere_ends(server: Server, content: bytes) -> None:
    def answer(visit: Visit) -> None:
        # Every answer starts at the beginning and breaks at the same position.
        visit.head(200, Content_Length=len(content))
        visit.write(content[:500])

    server.answer = answer
    Attempt(server, content).fails("ended after 500 of .*, 4 times in a row")
    assert len(server.visits) == 5


def test_a_byte_now_and_then_is_a_stall_too(server: Server, content: bytes) -> None:
    def answer(visit: Visit) -> None:
        visit.head(200, Content_Length=len(content))
        for byte in content:
            visit.write(bytes([byte]))
            if visit.stop.wait(0.05):
                return

    server.answer = answer
    Attempt(server, content).fails("next to nothing came for too long, 2 times in a row", timeout=0.2, tries=2)


def test_nobody_listens(server: Server, content: bytes) -> None:
    attempt = Attempt(server, content, url="http://127.0.0.1:9/weights")
    attempt.fails("cannot be reached .*4 times in a row")
    assert attempt.pauses == [1, 2, 4]


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://[::2]/x"])
def test_only_https(server: Server, content: bytes, url: str) -> None:
    Attempt(server, content, url=url).fails("is not https; nothing was fetched")
    assert not server.visits


def test_https_never_leads_to_http() -> None:
    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(downloading.PermanentFailure, match="not https"):
        downloading.Redirects().redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), "http://127.0.0.1/x")


def test_offline_fails_at_once(server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda visit: visit.file(content)
    attempt = Attempt(server, content)
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    attempt.fails("IMPASTO_OFFLINE is set")
    assert not server.visits
    monkeypatch.setenv("IMPASTO_OFFLINE", "0")
    attempt.succeeds()
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    assert attempt.fetch().already


def test_damaged_weights_are_fetched_again(server: Server, content: bytes) -> None:
    server.answer = lambda visit: visit.file(content)
    attempt = Attempt(server, content)
    path = attempt.fetch().entry.path
    path.write_bytes(path.read_bytes()[:-1])
    attempt.succeeds()
    assert len(server.visits) == 2


def test_a_small_disk_is_refused_before_anything_is_asked(
    server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")._replace(free=len(content))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(WeightsError, match=r"MiB are needed and 0 MiB free; free some space, or set IMPASTO_CACHE"):
        Attempt(server, content).fetch()
    assert not server.visits


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_is_one_clear_line(server: Server, content: bytes) -> None:
    server.answer = lambda visit: visit.file(content)
    attempt = Attempt(server, content)
    weights.folder().mkdir(parents=True)
    (weights.folder() / f"small-{attempt.official.digest[:16]}.part").symlink_to("/dev/full")
    with pytest.raises(
        WeightsError, match=r"could not be written .No space left on device.; free some space"
    ) as caught:
        attempt.fetch()
    assert "\n" not in str(caught.value)


def test_the_official_file_of_another_network_is_a_bug_that_is_told(server: Server, tmp_path: Path) -> None:
    content = samples.pth(tmp_path / "x.pth", {"fc.weight": torch.zeros(2)}).read_bytes()
    server.answer = lambda visit: visit.file(content)
    with pytest.raises(WeightsError, match="no layers of a VGG"):
        Attempt(server, content).fetch()


@pytest.mark.slow
def test_a_process_killed_at_any_moment_harms_nothing(server: Server, content: bytes) -> None:
    def slow(visit: Visit) -> None:
        visit.head(200, Content_Length=len(content), ETag='"one"')
        visit.write(content[:700])
        visit.stop.wait(30)

    server.answer = slow
    attempt = Attempt(server, content)
    code = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from tests.vgg.weights import samples
from impasto.vgg import weights
from impasto.vgg.weights.spec import Official
weights.fetch(samples.specs({{"small": {attempt.official!r}}})["small"])
"""
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ, stderr=subprocess.DEVNULL)
    part = weights.folder() / f"small-{attempt.official.digest[:16]}.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        server.stop.wait(0.05)
    process.kill()
    process.wait()
    server.answer = lambda visit: visit.file(content)
    attempt.succeeds()
    assert server.visits[-1].range == "bytes=700-"
