"""Files as the real command leaves them: links, odd names, read-only folders, full disks, two processes at once."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from impasto.picture import Picture, read_picture

# Nothing here needs torch, so each takes a fraction of a second.
COMPARE = "import sys; from impasto.cli import main; sys.argv[0] = 'impasto'; main()"
FULL = (
    "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
)
NOBODY = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); "

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a.png and b.png."""
    for seed, name in enumerate(("a.png", "b.png")):
        picture(40, 60, seed).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def let_everybody_in(folder: Path) -> None:
    """Open pytest's temporary folders, which only their owner may enter."""
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o755)


def start(*arguments: str, before: str = "") -> subprocess.Popen[bytes]:
    """Start `impasto compare`, after `before` has been run in its process."""
    # Everything is imported before rights or space are given up, as the packages may not be readable after that.
    code = "import imagecodecs, impasto.cli, impasto.picture, impasto.sheets.contact; " if before else ""
    command = [sys.executable, "-c", code + before + COMPARE, "compare", *arguments]
    # Without rights or space, that process could not write its coverage data.
    environment = {name: value for name, value in os.environ.items() if not (before and name.startswith("COVERAGE_"))}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def run(*arguments: str, before: str = "") -> tuple[int, str]:
    process = start(*arguments, before=before)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode()


def refused(*arguments: str, before: str = "") -> str:
    code, errors = run(*arguments, before=before)
    assert code in (1, 2), errors
    assert errors.count("\n") == 1
    assert errors[:-1].isprintable()
    return errors


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_a_full_disk() -> None:
    Path("out.png").write_bytes(b"the old file")
    message = refused("a.png", "b.png", "-o", "out.png", "--force", before=FULL)
    assert "could not be written" in message
    assert Path("out.png").read_bytes() == b"the old file"
    assert names() == ["a.png", "b.png", "out.png"]


@as_root
def test_a_folder_that_may_not_be_written_to(folder: Path) -> None:
    let_everybody_in(folder)
    message = refused("a.png", "b.png", "-o", "out.png", before=NOBODY)
    assert "nothing can be written to the folder" in message
    assert names() == ["a.png", "b.png"]


@as_root
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    let_everybody_in(folder)
    folder.chmod(0o777)
    Path("a.png").chmod(0o600)
    assert "a.png: may not be read" in refused("a.png", "b.png", "-o", "out.png", before=NOBODY)


def test_a_link_to_nothing_makes_the_file_it_names() -> None:
    Path("there").mkdir()
    Path("link.png").symlink_to(Path("there") / "new.png")
    assert run("a.png", "-o", "link.png")[0] == 0
    assert Path("link.png").is_symlink()
    assert read_picture(Path("there") / "new.png").width > 0


@pytest.mark.parametrize("target", ["link.png", "gone/new.png"])
def test_a_link_that_leads_nowhere(target: str) -> None:
    Path("link.png").symlink_to(target)
    refused("a.png", "-o", "link.png", "--force")
    assert Path("link.png").readlink() == Path(target)
    assert names() == ["a.png", "b.png", "link.png"]


def test_a_link_to_an_input_is_that_input() -> None:
    Path("link.png").symlink_to("a.png")
    before = Path("a.png").read_bytes()
    assert "same file as the input" in refused("a.png", "b.png", "-o", "link.png", "--force")
    assert Path("a.png").read_bytes() == before


def test_the_other_name_of_a_file_keeps_what_it_had() -> None:
    # The file is replaced, not overwritten: a hard link to it keeps the old content.
    Path("out.png").write_bytes(b"the old file")
    os.link("out.png", "other.png")
    assert run("a.png", "-o", "out.png", "--force")[0] == 0
    assert Path("other.png").read_bytes() == b"the old file"


ODD = ["a\nb.png", "\x1b[2Jc.png", "-o.png", os.fsdecode(b"\xff\xfe.png"), "\u202egnp.png", "x" * 251 + ".png"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(name: str) -> None:
    # A leading dash comes after --, as everywhere.
    Path("a.png").rename(name)
    code, errors = run("-o", f"./{name}.png"[-255:] if len(name) < 250 else "out.png", "--", name, "b.png")
    assert code == 0, errors
    assert errors.count("\n") == 1
    assert errors[:-1].isprintable()
    missing = refused("-o", "other.png", "--", f"{name}.gone"[-250:], "b.png")
    assert "no such file" in missing


def test_two_commands_on_one_output() -> None:
    alone = {}
    for name in ("a.png", "b.png"):
        assert run(name, "-o", f"alone-{name}")[0] == 0
        alone[name] = read_picture(f"alone-{name}").to_numpy().tobytes()
    for _ in range(2):
        both = [start(name, "-o", "out.png", "--force", "-q") for name in ("a.png", "b.png")]
        ends = [process.communicate(timeout=60)[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], ends
        assert read_picture("out.png").to_numpy().tobytes() in alone.values()
    assert [name for name in names() if name.startswith(".")] == []


def test_killed_while_it_writes_nothing_old_is_lost() -> None:
    Path("out.png").write_bytes(b"the old file")
    stop = "import os; os.replace = os.rename = lambda *_: os.kill(os.getpid(), 9); "
    stop += "import pathlib; pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9); "
    code, _ = run("a.png", "-o", "out.png", "--force", before=stop)
    assert code == -signal.SIGKILL
    assert Path("out.png").read_bytes() == b"the old file"
    # The file left behind is not mistaken for a picture and blocks no later run.
    left = [name for name in names() if name not in ("a.png", "b.png", "out.png")]
    assert len(left) == 1
    assert left[0].startswith(".impasto-")
    assert left[0].endswith(".tmp")
    assert run("a.png", "-o", "out.png", "--force")[0] == 0
