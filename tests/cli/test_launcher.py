"""The launchers of a fresh clone: ./impasto, ./test and what they share. One test installs; the rest use stand-ins."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the launchers are shell scripts")

PYTHON = """#!/bin/sh
case $1 in
-V) echo "Python {version}" ;;
-I) echo "Python 3.11" ;;
*) printf '<%s>' "$@" "$PWD" "$PYTHONPATH" && cat ;;
esac
"""


def write_command(path: Path, text: str) -> Path:
    """A shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The launcher and what it needs, in a folder with a space in its name; no .venv."""
    for name in ("impasto", "pyproject.toml", "scripts/environment.sh", "scripts/setup_environment.py"):
        target = tmp_path / "a clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / "a clone"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder of commands for PATH: what the launcher calls, and no Python."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in ("cat", "cmp", "readlink", "sh"):
        (folder / name).symlink_to(shutil.which(name) or pytest.skip(f"no {name} here"))
    return folder


def make_ready(clone: Path, extra: str = "use", version: str = "3.11.9") -> None:
    """A .venv whose Python tells how it was called, and that counts as installed."""
    write_command(clone / ".venv/bin/python", PYTHON.format(version=version))
    project = (clone / "pyproject.toml").read_text()
    (clone / f".venv/impasto-ready-{extra}").write_text(f"Python 3.11\n{project}")


def launch(
    command: Path, path: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a launcher with nothing but these variables in its environment."""
    return subprocess.run(
        [command, *arguments],
        cwd=cwd,
        env={"PATH": str(path), **variables},
        input="piped",
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def setup(clone: Path) -> ModuleType:
    """The clone's own scripts/setup_environment.py as a module."""
    spec = importlib.util.spec_from_file_location("setup_environment", clone / "scripts/setup_environment.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("shell", "name"),
    [
        ("sh", "impasto"),
        ("sh", "scripts/environment.sh"),
        ("bash", "test"),
        ("bash", "scripts/check"),
        ("bash", ".ci/run"),
    ],
)
def test_shell_accepts_the_script(shell: str, name: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", name], cwd=ROOT, check=True)
    assert name.endswith(".sh") or os.access(ROOT / name, os.X_OK)


class TestFindingPython:
    def test_none_is_one_line(self, clone: Path, path: Path) -> None:
        ran = launch(clone / "impasto", path, "--version")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.count("\n") == 1
        assert "no Python 3.11 or newer" in ran.stderr
        assert not (clone / ".venv").exists()

    def test_one_that_fails_when_run_is_passed_over(self, clone: Path, path: Path) -> None:
        write_command(path / "python3.13", "#!/bin/sh\necho 'shim: command not found' >&2\nexit 127\n")
        write_command(path / "python3.12", '#!/bin/sh\ncase $2 in *setup*) echo "$@" >&2 && exit 7 ;; esac\n')
        ran = launch(clone / "impasto", path, "--version")
        assert (ran.returncode, ran.stdout) == (7, "")
        assert ran.stderr == f"-I {clone}/scripts/setup_environment.py use {clone}/impasto --version\n"

    def test_one_without_venv_is_named(self, clone: Path, path: Path) -> None:
        write_command(path / "python3", "#!/bin/sh\ncase $3 in *ensurepip*) exit 1 ;; esac\n")
        ran = launch(clone / "impasto", path)
        assert ran.returncode == 1
        assert ran.stderr.startswith("impasto: python3 has no venv module")
        assert "apt install python3-venv" in ran.stderr

    def test_the_variable_decides_alone(self, clone: Path, path: Path) -> None:
        write_command(path / "python3", "#!/bin/sh\nexit 0\n")
        ran = launch(clone / "impasto", path, IMPASTO_PYTHON="/no/such/python")
        assert ran.returncode == 1
        assert ran.stderr.startswith("impasto: IMPASTO_PYTHON=/no/such/python is no Python 3.11")


class TestReadyClone:
    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            (["serve", "--port", "80"], "web"),
            (["serve"], "web"),
            (["video", "clip.mp4", "painting.jpg"], "video"),
            (["batch", "photos", "painting.jpg", "--on", "ray"], "ray"),
            (["sweep", "photo.jpg", "painting.jpg", "--on=ray://host:1"], "ray"),
            (["batch", "photos", "painting.jpg", "--on", "host:6379"], "ray"),
        ],
    )
    def test_some_commands_have_needs_of_their_own(
        self, clone: Path, path: Path, arguments: list[str], wanted: str
    ) -> None:
        make_ready(clone)
        base = write_command(clone / "base", '#!/bin/sh\ncase $2 in *setup*) echo "$3" >&2 && exit 7 ;; esac\n')
        for plain in (["--help"], ["stylize", "serve", "video"], ["batch", "--on", "local", "-o", "ftp://host:21/x"]):
            assert launch(clone / "impasto", path, *plain, IMPASTO_PYTHON=str(base)).returncode == 0
        ran = launch(clone / "impasto", path, *arguments, IMPASTO_PYTHON=str(base))
        assert (ran.returncode, ran.stderr) == (7, f"{wanted}\n")
        for extra in (wanted, "dev"):
            make_ready(clone, extra)
            assert launch(clone / "impasto", path, *arguments, IMPASTO_PYTHON=str(base)).returncode == 0
            (clone / f".venv/impasto-ready-{extra}").unlink()

    @pytest.mark.parametrize("extra", ["use", "dev"])
    def test_arguments_folder_and_input_arrive_untouched(
        self, clone: Path, path: Path, tmp_path: Path, extra: str
    ) -> None:
        make_ready(clone, extra)
        ran = launch(clone / "impasto", path, "stylize", "-a b.jpg", "", "*", cwd=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout == f"<-P><-m><impasto><stylize><-a b.jpg><><*><{tmp_path}><{clone}/src>piped"

    def test_links_lead_to_the_clone(self, clone: Path, path: Path, tmp_path: Path) -> None:
        make_ready(clone)
        (tmp_path / "first").symlink_to(clone / "impasto")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/second").symlink_to("../first")
        assert f"<{clone}/src>" in launch(tmp_path / "bin/second", path).stdout

    def test_moved_clone_uses_its_own_source(self, clone: Path, path: Path) -> None:
        make_ready(clone)
        moved = clone.rename(clone.with_name("moved"))
        ran = launch(moved / "impasto", path, PYTHONPATH="/of/the/user")
        assert ran.stdout.endswith(f"<{moved}/src:/of/the/user>piped")

    @pytest.mark.parametrize("change", ["pyproject.toml", "python", "no python"])
    def test_a_change_asks_for_another_install(self, clone: Path, path: Path, change: str) -> None:
        make_ready(clone, version="3.12.1" if change == "python" else "3.11.9")
        if change == "pyproject.toml":
            with (clone / "pyproject.toml").open("a") as file:
                file.write("# new\n")
        if change == "no python":
            (clone / ".venv/bin/python").unlink()
        base = write_command(clone / "base", "#!/bin/sh\ncase $2 in *setup_environment.py) exit 7 ;; esac\n")
        assert launch(clone / "impasto", path, IMPASTO_PYTHON=str(base)).returncode == 7


class TestSettingUp:
    @pytest.fixture
    def calls(self, setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What was done, in order; nothing is really installed."""
        done: list[str] = []

        def make_venv(lock: int) -> str:
            done.append("make_venv")
            write_command(setup.PYTHON, PYTHON.format(version="3.11.9"))
            return "Python 3.11"

        monkeypatch.setattr(setup, "make_venv", make_venv)
        monkeypatch.setattr(setup, "install", lambda lock, extra: done.append(f"install {extra}"))
        return done

    def test_first_use_then_the_launcher_is_content(
        self, setup: ModuleType, calls: list[str], clone: Path, path: Path
    ) -> None:
        setup.set_up("use")
        assert calls == ["make_venv", "install use"]
        assert launch(clone / "impasto", path).stdout.startswith("<-P><-m><impasto>")
        setup.set_up("use")
        assert calls == ["make_venv", "install use"]

    def test_tools_are_added_to_what_is_there(self, setup: ModuleType, calls: list[str]) -> None:
        setup.set_up("use")
        setup.set_up("web")
        setup.set_up("dev")
        assert calls == ["make_venv", "install use", "install web", "install dev"]
        for extra in ("use", "web", "dev"):
            setup.set_up(extra)
        assert len(calls) == 4
        # Another project has other needs, all of them.
        with (setup.ROOT / "pyproject.toml").open("a") as file:
            file.write("# new\n")
        setup.set_up("video")
        ready = sorted(path.name for path in setup.VENV.glob("impasto-ready-*"))
        assert ready == ["impasto-ready-use", "impasto-ready-video"]

    def test_unfinished_install_starts_anew(
        self, setup: ModuleType, calls: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        setup.set_up("use")

        def killed(lock: int, extra: str) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(setup, "install", killed)
            assert setup.main(["dev", "./test"]) == 130
        assert not list(setup.VENV.glob("impasto-ready-*"))
        setup.set_up("use")
        assert calls == ["make_venv", "install use", "make_venv", "install use"]

    def test_failure_names_the_command(
        self, setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(setup, "make_venv", lambda lock: "Python 3.11")
        monkeypatch.setattr(setup, "pip_install", lambda lock, *arguments: "ERROR: no index")
        monkeypatch.setattr(setup, "can_reach", lambda url, seconds: False)
        assert setup.main(["use", "/a clone/impasto", "--version"]) == 1
        out, err = capfd.readouterr()
        assert out == ""
        assert "PyTorch could not be installed. The last lines of pip:\nERROR: no index\n" in err
        assert err.endswith("impasto: to try again: '/a clone/impasto' --version\n")

    def test_second_first_use_waits(self, setup: ModuleType, calls: list[str]) -> None:
        setup.set_up("use")
        command = [sys.executable, "-I", str(setup.__file__), "use", "./impasto"]
        with setup.locked():
            second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert second.stderr
            assert "waiting for another" in second.stderr.readline()
            assert second.poll() is None
        _, said = second.communicate(timeout=60)
        assert (second.returncode, said) == (0, "")


class TestTorch:
    PLAIN, PINNED = ("torch>=2.10",), ("--retries", "1", "--timeout", "30", "torch==2.13.0")

    @pytest.fixture
    def pip(self, setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        """What pip was told to install; it fails with PyTorch's own index."""
        told: list[tuple[str, ...]] = []

        def pip_install(lock: int, *arguments: str) -> str | None:
            told.append(arguments)
            return "ERROR" if "--index-url" in arguments else None

        monkeypatch.setattr(setup, "pip_install", pip_install)
        monkeypatch.setattr(setup, "has_nvidia", lambda: False)
        monkeypatch.setattr(setup, "can_reach", lambda url, seconds: False)
        monkeypatch.setattr(setup, "sys", SimpleNamespace(platform="linux", stderr=sys.stderr))
        return told

    def test_linux_without_nvidia_and_without_the_cpu_index(
        self, setup: ModuleType, pip: list[tuple[str, ...]]
    ) -> None:
        setup.install_torch(0)
        assert pip == [self.PINNED]

    def test_linux_with_a_cpu_index_that_fails(
        self, setup: ModuleType, pip: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(setup, "can_reach", lambda url, seconds: True)
        setup.install_torch(0)
        assert [setup.CPU_INDEX in arguments for arguments in pip] == [True, False]
        assert pip[1] == self.PINNED

    def test_nvidia(self, setup: ModuleType, pip: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "has_nvidia", lambda: True)
        setup.install_torch(0)
        assert pip == [self.PLAIN]

    def test_mac(self, setup: ModuleType, pip: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "sys", SimpleNamespace(platform="darwin", stderr=sys.stderr))
        setup.install_torch(0)
        assert pip == [self.PLAIN]

    def test_is_left_alone_when_it_is_there(self, setup: ModuleType, pip: list[tuple[str, ...]]) -> None:
        (setup.VENV / "lib/python3.11/site-packages/torch-2.12.0.dist-info").mkdir(parents=True)
        setup.install(0, "dev")
        assert pip == [("--editable", ".[dev]")]

    def test_floor_is_the_projects(self) -> None:
        assert f'"{self.PLAIN[0]}"' in (ROOT / "pyproject.toml").read_text()

    def test_silent_server_is_given_up(self, setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with socket.create_server(("127.0.0.1", 0)) as server:
            started = time.monotonic()
            assert not setup.can_reach(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.2)
            assert time.monotonic() - started < 2


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_clean_clone_installs_runs_and_can_be_moved(tmp_path: Path) -> None:
    """The real thing, from the package index; needs nothing but Python."""
    clone = tmp_path / "a clone"
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, clone, ignore=ignored)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    for expected, folder in (("ready after", clone), ("", clone), ("", tmp_path / "moved")):
        if folder != clone:
            clone.rename(folder)
        command = [str(folder / "impasto"), "--version"]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("impasto ")
        assert expected in ran.stderr if expected else not ran.stderr
