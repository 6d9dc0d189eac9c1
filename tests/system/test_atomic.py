"""Files are written completely or not at all."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from impasto.errors import OutputError, PictureError
from impasto.picture import as_picture, read_picture
from impasto.picture.write import write_file
from impasto.system import atomic
from tests.picture import samples as making


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "out.png"
    path.write_bytes(b"the old file")
    return path


def failing(code: int) -> Callable[..., None]:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("place", ["replace", "fsync", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO, errno.EDQUOT])
def test_the_old_file_survives_a_failure(old: Path, monkeypatch: pytest.MonkeyPatch, place: str, code: int) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, place, failing(code))
        if place == "replace":
            patch.setattr(Path, "replace", failing(code))
        with pytest.raises(PictureError) as error:
            as_picture(making.scene()).save(old)
    assert str(error.value).startswith(f"{old}: could not be written ({os.strerror(code)})")
    assert old.read_bytes() == b"the old file"
    assert list(old.parent.iterdir()) == [old]


def test_ctrl_c_leaves_nothing_behind(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_file(old, b"new")
    assert old.read_bytes() == b"the old file"
    assert list(old.parent.iterdir()) == [old]


def python(code: str, *arguments: Any) -> "subprocess.Popen[bytes]":
    """Start a program that knows `write_file`; a process of its own, not a fork of this one and its threads."""
    lines = "import sys\nfrom impasto.errors import PictureError\nfrom impasto.picture.write import write_file\n"
    return subprocess.Popen([sys.executable, "-c", lines + textwrap.dedent(code), *map(str, arguments)])


def test_a_really_full_disk(old: Path) -> None:
    # To a program, a limit on the size of files looks like a full disk.
    code = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_file(sys.argv[1], bytes(100_000))
        except PictureError as error:
            sys.exit(0 if "could not be written" in str(error) else 2)
        sys.exit(3)
    """
    assert python(code, old).wait(60) == 0
    assert old.read_bytes() == b"the old file"
    assert list(old.parent.iterdir()) == [old]


def test_a_vanished_folder(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="could not be written"):
        as_picture(making.scene()).save(tmp_path / "gone" / "a.png")


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match="not a regular file"):
        as_picture(making.scene()).save(tmp_path / "pipe.png")
    assert stat.S_ISFIFO((tmp_path / "pipe.png").stat().st_mode)
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(PictureError, match="not a regular file"):
        as_picture(making.scene()).save(tmp_path / "dir.png")


def test_the_name_is_not_changed_by_a_wrong_ending(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        as_picture(making.scene()).save(tmp_path / "a.pgn")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_an_existing_file_keeps_its_mode(old: Path, mode: Any) -> None:
    old.chmod(mode)
    as_picture(making.scene()).save(old)
    assert stat.S_IMODE(old.stat().st_mode) == mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_gets_what_the_umask_leaves(tmp_path: Path, umask: Any, mode: Any) -> None:
    before = os.umask(umask)
    try:
        as_picture(making.scene()).save(tmp_path / "new.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == mode


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_an_existing_file_keeps_its_owner(old: Path) -> None:
    os.chown(old, 1234, 2345)
    as_picture(making.scene()).save(old)
    assert (old.stat().st_uid, old.stat().st_gid) == (1234, 2345)


def test_a_link_keeps_pointing_and_its_target_changes(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.png"
    target.write_bytes(b"old")
    link = tmp_path / "link.png"
    link.symlink_to(Path("there") / "real.png")
    as_picture(making.scene()).save(link)
    assert link.is_symlink()
    assert np.array_equal(read_picture(target).to_numpy(), making.scene())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link.png", "real.png", "there"]


CONTENTS = [bytes([letter]) * 300_000 for letter in range(8)]


def watch(path: Path, busy: Callable[[], bool]) -> None:
    """Read the file while it is being written, and count contents that are not complete and from one writer."""
    torn = reads = 0
    while busy():
        torn += path.read_bytes() not in CONTENTS
        reads += 1
    assert reads > 0
    assert torn == 0
    assert path.read_bytes() in CONTENTS
    assert list(path.parent.iterdir()) == [path]


def test_eight_threads_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(CONTENTS[0])

    def write(content: bytes) -> None:
        for _ in range(10):
            write_file(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in CONTENTS]
    for thread in threads:
        thread.start()
    watch(path, lambda: any(thread.is_alive() for thread in threads))


def test_eight_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(CONTENTS[0])
    code = """
        for _ in range(10):
            write_file(sys.argv[1], bytes([int(sys.argv[2])]) * 300_000)
    """
    writers = [python(code, path, letter) for letter in range(8)]
    watch(path, lambda: any(writer.poll() is None for writer in writers))
    assert [writer.wait() for writer in writers] == [0] * 8


def test_eight_readers_at_once(recwarn: pytest.WarningsRecorder) -> None:
    before = list(warnings.filters)
    files = list(making.every_format().values())
    results: list[tuple[int, int]] = []

    def read() -> None:
        results.extend(as_picture(data).size for data in files)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 * len(files)
    assert warnings.filters == before
    assert len(recwarn) == 0


class TestFilesThatOthersHaveOpen:
    """Windows refuses to replace a file that some program has open."""

    @pytest.fixture
    def refusals(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The number of times that replacing the file fails."""
        left, replace = [3], Path.replace

        def refuse(source: Path, target: Path) -> Path:
            if left[0]:
                left[0] -= 1
                raise PermissionError(errno.EACCES, "The process cannot access the file")
            return replace(source, target)

        monkeypatch.setattr(Path, "replace", refuse)
        monkeypatch.setattr(atomic, "sys", SimpleNamespace(platform="win32"))
        return left

    def test_are_replaced_a_moment_later(self, old: Path, refusals: list[int]) -> None:
        atomic.write_whole(old, b"new")
        assert old.read_bytes() == b"new"
        assert refusals == [0]

    def test_are_left_alone_after_a_second(
        self, old: Path, refusals: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusals[0] = -1
        monkeypatch.setattr(atomic, "time", SimpleNamespace(monotonic=iter(range(9)).__next__, sleep=lambda _: None))
        with pytest.raises(PermissionError):
            atomic.write_whole(old, b"new")
        assert list(old.parent.iterdir()) == [old]

    def test_are_no_reason_to_wait_here(self, old: Path, refusals: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(atomic, "sys", SimpleNamespace(platform="linux"))
        with pytest.raises(PermissionError):
            atomic.write_whole(old, b"new")
        assert refusals == [2]
