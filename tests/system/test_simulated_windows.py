"""The whole program in a Python that looks like that of Windows, as far as it can on Linux.

Nobody has run impasto on Windows. `simulated_windows/sitecustomize.py` says what is simulated and what is not; these
tests fail where somebody imports a module or uses a signal that Windows lacks, replaces or removes a file that is still
open, or opens a text file without saying its encoding. Workers and servers are started in the same simulation.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from impasto.picture import Picture, read_picture
from impasto.recipe import presets
from tests.conftest import PROJECT
from tests.video import clips
from tests.web import served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulation is of Windows on Linux")

SIMULATION = str(Path(__file__).with_name("simulated_windows"))
PYTHON_PATH = os.pathsep.join([SIMULATION, str(PROJECT / "src")])
SMALL = ["-r", "mine.toml", "--size", "32", "--start-size", "16", "--steps", "3", "--device", "cpu"]
# The command with checkpoints, however short a run is; a batch writes them as often as can be.
EAGER = """
from impasto.jobs import checkpoint_paths
from impasto.engine.checkpoints import writer
from impasto.cli import main
writer.INTERVAL = 0.0
checkpoint_paths.LONG = 0
if __name__ == "__main__":
    main()
"""
BITES = """
import os, subprocess, sys
from pathlib import Path
import impasto.web.server as ours

asked = ours.__builtins__["__import__"]
for name in ("fcntl", "resource", "pwd", "grp", "termios", "syslog"):
    try:
        asked(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} can be imported")
assert ours.sys.platform == "win32", sys.platform
assert ours.os.name == "nt"
for module, names in {
    ours.signal: ("SIGUSR1", "SIGHUP", "SIGKILL", "pthread_sigmask", "alarm"),
    ours.os: ("fchmod", "sched_getaffinity", "killpg", "fork", "getuid"),
}.items():
    assert not [name for name in names if hasattr(module, name)]
path = Path("open")
with path.open("w", encoding="utf-8"):
    for change in (path.unlink, lambda: path.rename("other"), lambda: Path("other").replace(path)):
        Path("other").touch()
        try:
            change()
        except PermissionError:
            continue
        sys.exit("an open file can be changed")
path.unlink()
for name in ("a:b.png", "what?.png", "con.png", "dot."):
    try:
        Path(name).touch()
    except OSError:
        continue
    sys.exit(f"{name} can be made")
"""


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photos, a style, and a recipe that looks at the first layers only."""
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("abc"):
        picture(24, 32, seed).save(tmp_path / "photos" / f"{name}.png")
    picture(30, 30, 9).save(tmp_path / "s.png")
    monkeypatch.chdir(tmp_path)
    recipe = presets.get("default").with_layers("content", "relu2_1").with_layers("style", ["relu1_1", "relu2_1"])
    Path("mine.toml").write_text(recipe.to_toml(), encoding="utf-8")
    Path("eager.py").write_text(EAGER, encoding="utf-8")
    # A console of Western Europe, whose programs open text files in its own encoding.
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    monkeypatch.setenv("PYTHONWARNDEFAULTENCODING", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run Python in the simulation; it must succeed."""
    environment = {**os.environ, "PYTHONPATH": PYTHON_PATH}
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=100)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran


def test_the_simulation_bites(folder: Path) -> None:
    run("-c", BITES)


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["recipe", "show", "default"]], ids=" ".join)
def test_a_command_that_only_prints(folder: Path, arguments: list[str]) -> None:
    assert run("-m", "impasto", *arguments).stdout


def test_a_painting_with_checkpoints_leaves_nothing_but_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The convolution method is chosen on this machine and stored.
    monkeypatch.delenv("IMPASTO_CONVOLUTIONS")
    monkeypatch.setenv("IMPASTO_CACHE", str(folder / "cache"))
    run("eager.py", "stylize", "photos/a.png", "s.png", *SMALL, "-o", "out.png", "--preview", "now.png")
    assert read_picture("out.png").size == (24, 32)
    assert sorted(path.name for path in folder.glob("*out*")) == ["out.png"]
    # Again, replacing the picture; the photo's name cannot be written in the encoding of the console.
    photo = Path("photos/b.png").rename("photos/\u65e5\u672c.png")
    run("eager.py", "stylize", str(photo), "s.png", *SMALL, "-o", "out.png", "--force")
    assert rb"\u65e5\u672c.png" in run("-m", "impasto", "show", "out.png").stdout


@pytest.mark.slow
def test_ctrl_break_keeps_what_there_is(folder: Path) -> None:
    command = ["eager.py", "stylize", "photos/a.png", "s.png", *SMALL, "--steps", "100", "--preview", "now.png"]
    environment = {**os.environ, "PYTHONPATH": PYTHON_PATH}
    running = subprocess.Popen([sys.executable, *command, "-o", "out.png"], env=environment, stderr=subprocess.PIPE)
    served.until(lambda: Path("now.png").exists() or running.poll() is not None)
    running.send_signal(signal.SIGQUIT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGQUIT, said.decode()
    assert b"saved what there is" in said
    assert b"go on with: impasto resume out.png.impasto" in said
    run("-m", "impasto", "resume", "out.png.impasto", "-q")
    assert not Path("out.png.impasto").exists()


def test_a_batch_with_two_workers(folder: Path) -> None:
    batch = ["batch", "photos/*.png", "s.png", "--on", "local", "--workers", "2", *SMALL, "-o", "out/{content}.png"]
    run("eager.py", *batch, "--json")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png", "c.png", "impasto-batch.jsonl"]
    outputs = [json.loads(line)["output"] for line in Path("out/impasto-batch.jsonl").read_text().splitlines()]
    assert sorted(outputs) == ["a.png", "b.png", "c.png"]
    assert b"painted 0" in run("eager.py", *batch).stderr


@pytest.mark.slow
def test_a_sheet_and_a_film(folder: Path) -> None:
    run("-m", "impasto", "sweep", "photos/a.png", "s.png", *SMALL, "--vary", "seed=1,2", "-o", "sheet.png")
    assert Path("sheet.png").exists()
    clips.write(folder / "clip.mp4", clips.panned(2, 24, 32))
    run("-m", "impasto", "video", "clip.mp4", "s.png", *SMALL, "--frame-steps", "1", "-o", "film.mp4")
    assert sorted(path.name for path in folder.glob("film*")) == ["film.mp4"]


def test_the_page_paints_a_picture(folder: Path) -> None:
    server = served.start(folder / "state", python_path=PYTHON_PATH)
    try:
        with server.client() as client:
            assert "impasto" in client.get("").text
            id = served.order(client, {**served.QUICK, "size": 32, "start_size": 16})
            served.until(lambda: served.state_of(client, id) == "finished")
            assert client.get(f"api/jobs/{id}/result").content.startswith(b"\x89PNG")
            assert client.delete(f"api/jobs/{id}").status_code == 204
    finally:
        server.stop(signal.SIGQUIT)
    assert server.process.returncode == 128 + signal.SIGQUIT
