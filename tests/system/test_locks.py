"""Locks between processes: refused, waited for, and released however their process ends."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from filelock import FileLock

from impasto.errors import CheckpointError
from impasto.system import locks
from impasto.system.locks import hold_lock, lock_folder, release_and_remove, try_lock

HOLDER = """
import sys, time
from pathlib import Path
from impasto.system.locks import try_lock
lock = try_lock(Path(sys.argv[1]))
print("held" if lock else "refused", flush=True)
time.sleep(float(sys.argv[2]))
"""


def hold(path: Path, seconds: float) -> "subprocess.Popen[str]":
    """Start a process that tries to hold the lock for that long."""
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_another_process_is_refused_until_the_lock_is_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = try_lock(path)
    assert lock is not None
    with hold(path, 0) as process:
        assert answer(process) == "refused"
    lock.release()
    with hold(path, 0) as process:
        assert answer(process) == "held"


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    assert try_lock(tmp_path / "lock") is None
    lock.release()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", 60) as process:
        assert answer(process) == "held"
        assert try_lock(tmp_path / "lock") is None
        process.kill()
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    lock.release()


def test_a_folder_in_use_is_named(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    with pytest.raises(CheckpointError, match="another process is using it"):
        lock_folder(tmp_path)
    lock.release()


def test_a_lock_whose_file_was_removed_protects_nothing_and_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = try_lock(path)
    assert first is not None
    path.unlink()
    second = try_lock(path)
    assert second is not None
    assert path.exists()
    first.release()
    assert try_lock(path) is None
    second.release()


def test_waiting_is_said_once_and_ends_with_the_holder(tmp_path: Path) -> None:
    path, waits = tmp_path / "lock", []
    with hold(path, 1) as process:
        assert answer(process) == "held"
        with hold_lock(path, lambda: waits.append(process.poll())):
            assert process.wait() == 0
            assert try_lock(path) is None
    # Called once, while the holder was still there.
    assert waits == [None]
    with hold_lock(path, lambda: waits.append(0)):
        pass
    assert waits == [None]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        try_lock(tmp_path / "file" / "lock")


class TestRemovingFolders:
    """On Windows a file that is open cannot be removed; filelock removes it when it releases the lock."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "work").mkdir()
        return tmp_path / "work"

    def test_here(self, folder: Path) -> None:
        release_and_remove(lock_folder(folder), folder)
        assert not folder.exists()

    def test_what_else_is_in_it_stays(self, folder: Path) -> None:
        (folder / "other").touch()
        release_and_remove(lock_folder(folder), folder)
        assert list(folder.iterdir()) == [folder / "other"]
        lock_folder(folder).release()

    def test_on_windows(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lock, unlink = lock_folder(folder), Path.unlink

        def refuse(path: Path, missing_ok: bool = False) -> None:
            if lock.is_locked:
                raise PermissionError(13, "The process cannot access the file")
            unlink(path, missing_ok)

        class Removing:
            def release(self) -> None:
                lock.release()
                (folder / "lock").unlink()

        monkeypatch.setattr(Path, "unlink", refuse)
        monkeypatch.setattr(locks, "sys", SimpleNamespace(platform="win32"))
        release_and_remove(cast(FileLock, Removing()), folder)
        assert not folder.exists()


def test_a_file_system_that_tells_no_files_apart_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    with pytest.raises(OSError, match="which file is locked"):
        try_lock(tmp_path / "lock")
