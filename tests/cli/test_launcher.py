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
            write_command(setup.python_path("linux"), PYTHON.format(version="3.11.9"))
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
        monkeypatch.setattr(setup, "ask_nvidia", lambda: None)
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
        assert [f"{setup.INDEX}/cpu" in arguments for arguments in pip] == [True, False]
        assert pip[1] == self.PINNED

    def test_nvidia(self, setup: ModuleType, pip: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "ask_nvidia", lambda: "590.44.01, 8.6\n")
        setup.install_torch(0)
        assert pip == [self.PLAIN]

    @pytest.mark.parametrize(
        ("platform", "answer", "build"),
        [
            ("linux", "550.90.07, 8.6\n", "cu126"),
            ("win32", "581.29, 8.9\n", "cu130"),
            ("win32", "566.36, 8.9\n", "cu126"),
        ],
    )
    @pytest.mark.parametrize("reachable", [True, False])
    def test_nvidia_with_an_index_of_its_own(
        self,
        setup: ModuleType,
        pip: list[tuple[str, ...]],
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        platform: str,
        answer: str,
        build: str,
        reachable: bool,
    ) -> None:
        monkeypatch.setattr(setup, "sys", SimpleNamespace(platform=platform, stderr=sys.stderr))
        monkeypatch.setattr(setup, "ask_nvidia", lambda: answer)
        asked: list[str] = []
        monkeypatch.setattr(setup, "can_reach", lambda url, seconds: asked.append(url) or reachable)
        setup.install_torch(0)
        assert asked == [f"https://download.pytorch.org/whl/{build}/torch/"]
        assert len(pip) == 1 + reachable
        assert pip[-1] == ("--retries", "1", "--timeout", "30", *self.PLAIN)
        assert "cannot be used from here: taking it from the usual one" in capfd.readouterr().err

    @pytest.mark.parametrize(
        ("answer", "linux", "windows"),
        [
            (None, "cpu", None),  # no driver
            ("", None, "cu130"),  # a driver, and nobody who answers
            ("590.44.01, 8.6\n", None, "cu130"),
            ("580.65.06, 7.5\n", None, "cu130"),
            ("575.57.08, 8.9\n", "cu126", "cu126"),
            ("535.183.01, 8.6\n", "cu126", "cu126"),
            ("590.44.01, 6.1\n", "cu126", "cu126"),
            ("590.44.01, 7.0\n", "cu126", "cu126"),
            ("590.44.01, 6.1\n590.44.01, 8.9\n", None, "cu130"),  # the better card counts
            ("550.54.15, 9.0\n550.54.15, 9.0\n", "cu126", "cu126"),
            ("590.44.01, 12.0\n", None, "cu130"),
            ("570.86.15, 12.0\n", None, "cu130"),  # no older build has kernels for it
            ("550.90.07, 12.0\n550.90.07, 10.0\n", None, "cu130"),
            ("590.44.01, [N/A]\n", None, "cu130"),
            ("550.90.07, [N/A]\n", "cu126", "cu126"),
            ("[N/A], 8.6\n", None, "cu130"),
            ("[N/A], 6.1\n", "cu126", "cu126"),
            ("470.256.02, 8.6\n", "cpu", None),  # too old for any build
            ("No devices were found\n", None, "cu130"),
            ("\n, ,\n\x00 garbage; 1\n", None, "cu130"),
            ("581.29, 8.9\r\n", None, "cu130"),
        ],
    )
    def test_build_by_driver_and_card(
        self, setup: ModuleType, answer: str | None, linux: str | None, windows: str | None
    ) -> None:
        assert [setup.choose_build(answer, platform) for platform in ("linux", "win32")] == [linux, windows]
        assert setup.choose_build(answer, "darwin") is None

    @pytest.mark.parametrize(
        ("answers", "expected"),
        [
            ({2: (0, "590.44.01, 8.6\n")}, "590.44.01, 8.6\n"),
            ({2: (2, 'Field "compute_cap" is not a valid field to query.\n'), 0: (0, "NVIDIA-SMI 470.256.02\n")}, ""),
            ({2: (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")}, None),
            ({}, None),
        ],
    )
    def test_nvidia_is_asked(
        self,
        setup: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
        answers: dict[int, tuple[int, str]],
        expected: str | None,
    ) -> None:
        def run(command: list[str], **options: object) -> SimpleNamespace:
            if not answers:
                raise FileNotFoundError(command[0])
            code, said = answers.get(len(command) - 1, (9, ""))
            return SimpleNamespace(returncode=code, stdout=said)

        monkeypatch.setattr(setup.subprocess, "run", run)
        monkeypatch.setattr(setup, "Path", lambda name: SimpleNamespace(exists=lambda: False))
        assert setup.ask_nvidia() == expected

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


class TestWindows:
    """What impasto.cmd calls, as far as it can be played here; nobody has run it on Windows."""

    @pytest.fixture
    def windows(self, setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """The script as on Windows, where files are locked by msvcrt."""
        holders: dict[object, int] = {}

        def lock(descriptor: int, mode: int, count: int) -> None:
            assert (mode, count, os.lseek(descriptor, 0, os.SEEK_CUR)) == (2, 1, 0)
            if holders.setdefault(os.fstat(descriptor).st_ino, descriptor) != descriptor:
                raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(setup, "sys", SimpleNamespace(**vars(sys) | {"platform": "win32"}))
        monkeypatch.setattr(setup, "fcntl", None)
        monkeypatch.setattr(setup, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=lock), raising=False)
        return setup

    def test_the_layout(self, windows: ModuleType) -> None:
        assert windows.python_path("win32") == windows.VENV / "Scripts" / "python.exe"
        package = windows.VENV / "Lib/site-packages/torch-2.13.0+cu130.dist-info"
        assert not windows.find_packages("torch-*.dist-info", "win32")
        package.mkdir(parents=True)
        assert windows.find_packages("torch-*.dist-info", "win32") == [package]
        assert not windows.find_packages("torch-*.dist-info", "linux")

    def test_one_of_two_locks(self, windows: ModuleType) -> None:
        with windows.locked() as lock, windows.LOCK.open("ab") as second:
            assert windows.try_lock(lock)
            assert not windows.try_lock(second.fileno())

    def test_no_descriptor_is_inherited_and_links_are_not_asked_for(
        self, windows: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[object] = []

        def run(command: list[object], **options: object) -> SimpleNamespace:
            done.append((command[0], options.get("pass_fds", ())))
            return SimpleNamespace(returncode=0, stdout="Python 3.11\n")

        monkeypatch.setattr(windows.subprocess, "run", run)
        monkeypatch.setattr(windows.venv, "create", lambda folder, symlinks: done.append(symlinks))
        windows.VENV.mkdir()
        assert windows.make_venv(7) == "Python 3.11"
        assert done == [False, (windows.python_path("win32"), ()), (windows.python_path("win32"), ())]

    def test_signals_that_exist(self, windows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        handled: list[int] = []
        signals = SimpleNamespace(SIGTERM=15, SIGBREAK=21, signal=lambda number, handler: handled.append(number))
        monkeypatch.setattr(windows, "signal", signals)
        monkeypatch.setattr(windows, "set_up", lambda extra: None)
        assert windows.main(["use", "impasto.cmd"]) == 0
        assert handled == [15, 21]

    def test_a_ready_clone_is_left_alone_and_another_gets_what_the_command_needs(
        self, windows: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted: list[str] = []
        monkeypatch.setattr(windows, "set_up", wanted.append)
        arguments = ["fitting", r"C:\a clone\impasto.cmd", "serve", "--port", "80"]
        assert windows.main(arguments) == 0
        assert wanted == ["web"]
        write_command(windows.python_path("win32"), PYTHON.format(version="3.11.9"))
        project = (windows.ROOT / "pyproject.toml").read_text()
        for extra in ("web", "dev"):
            ready = windows.VENV / f"impasto-ready-{extra}"
            ready.write_text(f"Python 3.11\n{project}")
            assert windows.main(arguments) == 0
            assert wanted == ["web"]
            ready.unlink()
        (windows.VENV / "impasto-ready-web").write_text(f"Python 3.12\n{project}")
        assert windows.main(arguments) == 0
        assert wanted == ["web", "web"]

    def test_failure_names_the_command(
        self, windows: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def fail(extra: str) -> None:
            raise windows.SetupError("no")

        monkeypatch.setattr(windows, "set_up", fail)
        monkeypatch.setattr(windows, "say", print)
        assert windows.main(["fitting", r"C:\a clone\impasto.cmd", "--help"]) == 1
        assert 'to try again: "C:\\a clone\\impasto.cmd" --help' in capfd.readouterr().out

    @pytest.mark.parametrize(
        "arguments",
        [
            [], ["--help"], ["serve", "--port", "80"], ["video", "a.mp4"], ["stylize", "serve"],
            ["batch", "--on", "ray"], ["batch", "--on", "local", "-o", "ftp://host:21/x"], ["batch", "--on"],
            ["sweep", "--on=ray://host:1"], ["batch", "--on", "host:6379"], ["batch", "--on=inline", "a"],
        ],
    )  # fmt: skip
    def test_needs_are_those_that_the_other_launcher_finds(
        self, setup: ModuleType, clone: Path, path: Path, arguments: list[str]
    ) -> None:
        base = write_command(clone / "base", '#!/bin/sh\ncase $2 in *setup*) echo "$3" >&2 && exit 7 ;; esac\n')
        ran = launch(clone / "impasto", path, *arguments, IMPASTO_PYTHON=str(base))
        assert ran.stderr == f"{setup.find_extra(arguments)}\n"

    def test_the_command_file_calls_what_is_there(self) -> None:
        text = (ROOT / "impasto.cmd").read_bytes()
        assert text.count(b"\r\n") == text.count(b"\n")  # cmd may miss a label otherwise
        for name in (rb"scripts\setup_environment.py", rb".venv\Scripts\python.exe", b"-P -m impasto %*"):
            assert name in text
        labels = {line[1:] for line in text.split(b"\r\n") if line.startswith(b":")}
        assert {line.rpartition(b"goto ")[2] for line in text.split(b"\r\n") if b"goto " in line} == labels


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
