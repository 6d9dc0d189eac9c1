"""impasto as it would run on Windows, simulated on this system; nothing here ran on Windows.

`windows/sitecustomize.py` gives the modules of impasto, in every process started here and in their workers, the
standard library of Windows: without its POSIX modules, functions and signals, and with its `sys.platform`. PyTorch and
the other libraries, paths and file locks stay those of this system.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from impasto.engine.checkpoints import Folder
from impasto.picture import read_picture
from impasto.system.paths import relative_path
from tests.web import served
from tests.web.served import ROOT, SAMPLES

SIMULATION = Path(__file__).resolve().parent / "windows"
QUICK = ("--size", "32", "--steps", "2,2")


def run_python(*arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as it would be on Windows."""
    path = os.pathsep.join(map(str, (SIMULATION, ROOT / "src")))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def impasto(*arguments: str | Path, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    ended = run_python("-m", "impasto", *map(str, arguments), folder=folder, **environment)
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.mark.parametrize(
    "code",
    ["import fcntl", "from resource import getrlimit", "import os; os.fork", "import signal; signal.SIGUSR1"],
)
def test_the_simulation_lacks_what_windows_lacks(code: str, tmp_path: Path) -> None:
    as_impasto = f"exec({code!r}, {{'__name__': 'impasto.somewhere', '__builtins__': __builtins__}})"
    ended = run_python("-c", as_impasto, folder=tmp_path)
    assert ended.returncode == 1
    assert "on Windows" in ended.stderr
    assert run_python("-c", code, folder=tmp_path).returncode == 0


def test_every_module_can_be_imported(tmp_path: Path) -> None:
    code = "import impasto, pkgutil\nfor m in pkgutil.walk_packages(impasto.__path__, 'impasto.'):\n"
    code += "    if not m.name.endswith('__main__'): __import__(m.name)"
    ended = run_python("-c", code, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_a_painting_its_checkpoint_and_its_continuation(tmp_path: Path) -> None:
    paint = ("stylize", SAMPLES / "chelsea.jpg", SAMPLES / "woodcut.jpg", *QUICK, "-o", "out.png")
    impasto(*paint, "--checkpoint", "kept", folder=tmp_path)
    first = read_picture(tmp_path / "out.png")
    assert first.size == (21, 32)
    impasto("resume", "kept", "--steps", "2,4", folder=tmp_path)
    assert not np.array_equal(read_picture(tmp_path / "out.png").pixels, first.pixels)
    assert "codecs: jpg yes" in impasto("doctor", folder=tmp_path).stdout


def test_a_batch_with_two_workers(tmp_path: Path) -> None:
    names = ("chelsea", "coffee")
    for name in names:
        (tmp_path / f"{name}.jpg").write_bytes((SAMPLES / f"{name}.jpg").read_bytes())
    batch = ("batch", "*.jpg", SAMPLES / "woodcut.jpg", *QUICK, "-o", "out/{content}.png", "--workers", "2")
    impasto(*batch, folder=tmp_path)
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == sorted(names)
    assert "2 of 2 are there" in impasto(*batch, folder=tmp_path).stderr


def test_the_page_paints(tmp_path: Path) -> None:
    server = served.start(tmp_path / "state", before=[SIMULATION])
    try:
        with server.client() as client:
            job = served.order(client, served.QUICK)
            served.until(lambda: served.state_of(client, job) == "finished")
            assert client.get(f"api/jobs/{job}/result").status_code == 200
    finally:
        server.stop()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932"])
def test_names_that_the_console_cannot_write(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "кот.jpg").write_bytes((SAMPLES / "chelsea.jpg").read_bytes())
    strict = {"PYTHONIOENCODING": f"{encoding}:strict"}
    impasto("stylize", "кот.jpg", SAMPLES / "woodcut.jpg", *QUICK, "-o", "котик.png", folder=tmp_path, **strict)
    ended = run_python("-m", "impasto", "show", "котик.png", folder=tmp_path, **strict)
    assert ended.returncode == 0, ended.stderr


def test_a_path_on_another_drive_stays_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, start: str) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    assert relative_path("/photos/a.jpg", "/kept") == "../photos/a.jpg"
    monkeypatch.setattr(os.path, "relpath", refuse)
    assert relative_path("/photos/a.jpg", "/kept") == "/photos/a.jpg"


@pytest.mark.parametrize("end", [Folder.close, Folder.remove])
def test_a_folder_goes_although_open_files_cannot_be_removed(
    end: Callable[[Folder], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "kept", create=True)
    unlink = Path.unlink
    opened = Path("/proc/self/fd")

    def refuse_open(path: Path, missing_ok: bool = False) -> None:
        if any(file.resolve() == path.resolve() for file in opened.iterdir()):
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        unlink(path, missing_ok)

    if not opened.exists():
        pytest.skip("this system does not tell which files are open")
    monkeypatch.setattr(Path, "unlink", refuse_open)
    end(folder)
    assert not (tmp_path / "kept").exists()
