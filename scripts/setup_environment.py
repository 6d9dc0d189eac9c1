"""Make the clone's .venv and install impasto into it, when ./impasto, impasto.cmd or ./test is first used.

It uses only the standard library and runs in the Python that the environment is made from. The code for Windows was
tested on Linux with simulated functions, and has not been run on Windows. Three kinds of files in .venv protect it:

- `impasto-lock` is locked by the process that installs (and by pip, except on Windows); other processes wait for it.
- `impasto-unfinished` exists from before pip starts until it has succeeded. Pip takes half a package for a complete
  one, so an environment with this file is made anew.
- `impasto-ready-use`, and a file for each installed extra, are written last. They hold the version of Python and the
  pyproject.toml that the environment was made from; environment.sh compares them, and `is_ready` for impasto.cmd.
"""

import argparse
import contextlib
import itertools
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

fcntl: Any
msvcrt: Any
try:
    import fcntl
except ImportError:
    import msvcrt

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = VENV / "impasto-lock"
UNFINISHED = VENV / "impasto-unfinished"

TORCH = "torch>=2.10"  # as in pyproject.toml
TORCH_FOR_CPU = "torch==2.13.0"  # ours: the version that the tests run on
EXTRAS = {"use": "", "web": " for the page", "video": " for videos", "ray": " for clusters", "dev": " for development"}
FITTING = "fitting"  # given in place of an extra: choose the one that the command needs
# pytorch.org, "Get started": PyTorch's index of each build. The CPU build lacks the 2 GB of CUDA.
INDEX = "https://download.pytorch.org/whl"
BUILDS = {"cpu": "CPU builds", "cu126": "builds for CUDA 12.6", "cu130": "builds for CUDA 13.0"}
# docs.nvidia.com/deploy/cuda-compatibility: the oldest drivers for CUDA 13 and for CUDA 12.
CUDA_13_DRIVER, CUDA_12_DRIVER = 580, 525
# PyTorch's release notes: the oldest or newest compute capability that a build supports. Newer cards need cu130.
CUDA_13_OLDEST_CARD, CUDA_12_NEWEST_CARD = (7, 5), (9, 0)
PROBE_SECONDS = 5.0  # ours: a distant mirror answers in one or two seconds
LOCK_SECONDS = 0.2  # ours: between two tries to get a lock that another process holds


class SetupError(Exception):
    """The environment could not be made; the message is for the user."""


def say(text: str) -> None:
    """Print one line for the user."""
    print(f"impasto: {text}", file=sys.stderr, flush=True)


def python_path(platform: str) -> Path:
    """Return the path of .venv's Python."""
    return VENV / "Scripts" / "python.exe" if platform == "win32" else VENV / "bin" / "python"


def find_packages(pattern: str, platform: str) -> list[Path]:
    """Return the installed packages in .venv whose names match."""
    folder = "Lib/site-packages" if platform == "win32" else "lib/python*/site-packages"
    return list(VENV.glob(f"{folder}/{pattern}"))


def ask_nvidia() -> str | None:
    """Return a line with driver and compute capability for each NVIDIA card.

    None without a working driver; empty if the driver is too old for the question or nvidia-smi is missing.
    """
    question = ["--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    for options in (question, []):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            ran = subprocess.run(["nvidia-smi", *options], capture_output=True, encoding="utf-8", timeout=20)
            if ran.returncode == 0:
                return ran.stdout if options else ""
    return "" if Path("/proc/driver/nvidia").exists() else None


def choose_build(answer: str | None, platform: str) -> str | None:
    """Return the build of PyTorch to install, one of `BUILDS`; None for the package index's own.

    The index's own build is for CUDA 13 on Linux, for Metal on a Mac and for CPUs on Windows.

    Args:
        answer: the result of `ask_nvidia`.
        platform: as `sys.platform`.

    """
    if platform not in ("linux", "win32"):
        return None
    if answer is None:
        return "cpu" if platform == "linux" else None
    lines = [[field.strip() for field in line.split(",")] for line in answer.splitlines()]
    drivers = [int(found[1]) for fields in lines if (found := re.match(r"(\d+)\.\d", fields[0]))]
    capabilities = [
        (int(found[1]), int(found[2])) for fields in lines if (found := re.fullmatch(r"(\d+)\.(\d+)", fields[-1]))
    ]
    newest = None if platform == "linux" else "cu130"
    driver = min(drivers, default=CUDA_13_DRIVER)
    # PyTorch uses the best card.
    card = max(capabilities, default=CUDA_13_OLDEST_CARD)
    if card > CUDA_12_NEWEST_CARD or (driver >= CUDA_13_DRIVER and card >= CUDA_13_OLDEST_CARD):
        if driver < CUDA_13_DRIVER:
            say(f"the NVIDIA driver is {driver}, and this card needs {CUDA_13_DRIVER}: till then the CPU paints")
        return newest
    if driver < CUDA_12_DRIVER:
        say(f"the NVIDIA driver is {driver}, and PyTorch needs {CUDA_12_DRIVER}: update it, then remove .venv")
        return "cpu" if platform == "linux" else None
    return "cu126"


def can_reach(url: str, seconds: float) -> bool:
    """Whether a server answers there, through the environment's proxies. It takes at most `seconds`."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answers.append(True)
        except urllib.error.HTTPError as error:
            answers.append(error.code < 500)
        except urllib.error.URLError as error:  # pip may have certificates that are missing here, so let it try
            answers.append(isinstance(error.reason, ssl.SSLCertVerificationError))
        except OSError:
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)  # in a thread, because looking up a name has no time limit
    asking.start()
    asking.join(seconds)
    return answers == [True]


def run(lock: int, *arguments: str) -> str | None:
    """Run .venv's Python with these arguments. Return None if it succeeds, else its last lines of output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # If this process is killed, the lock is held until pip has ended too. Windows has no way to do this.
    inherited = () if sys.platform == "win32" else (lock,)
    ran = subprocess.run(
        [python_path(sys.platform), *arguments],
        cwd=ROOT,
        env=environment,
        pass_fds=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return None if ran.returncode == 0 else "\n".join(ran.stdout.strip().splitlines()[-12:])


def pip_install(lock: int, *arguments: str) -> str | None:
    """Install into .venv, with the user's own settings of pip; the result is as for `run`."""
    return run(lock, "-m", "pip", "install", *arguments)


def install_torch(lock: int) -> None:
    """Install PyTorch: the build for this machine, or the usual one if it cannot be downloaded."""
    say("installing PyTorch; once, some minutes")
    build = choose_build(ask_nvidia(), sys.platform)
    if build is None:
        failure = pip_install(lock, TORCH)
    else:
        failure, torch = "unreachable", TORCH_FOR_CPU if build == "cpu" else TORCH
        if can_reach(f"{INDEX}/{build}/torch/", PROBE_SECONDS):
            failure = pip_install(lock, "--retries", "0", "--timeout", "15", "--index-url", f"{INDEX}/{build}", torch)
        if failure is not None:
            say(f"PyTorch's own index of {BUILDS[build]} cannot be used from here: taking it from the usual one")
            failure = pip_install(lock, "--retries", "1", "--timeout", "30", torch)
    if failure is not None:
        raise SetupError(f"PyTorch could not be installed. The last lines of pip:\n{failure}")


def install(lock: int, extra: str) -> None:
    """Install PyTorch, if there is none yet, then impasto with what it needs."""
    if not find_packages("torch-*.dist-info", sys.platform):
        install_torch(lock)
    say(f"installing impasto and what it needs{EXTRAS[extra]}")
    failure = pip_install(lock, "--editable", "." if extra == "use" else f".[{extra}]")
    if failure is not None:
        raise SetupError(f"what impasto needs could not be installed. The last lines of pip:\n{failure}")


def python_in_venv() -> str | None:
    """Return the version of .venv's Python, such as `Python 3.11`; None if it fails, is too old or has no pip."""
    ask = (
        "import pip, sys; print('Python %d.%d' % sys.version_info[:2]) if sys.version_info >= (3, 11) else sys.exit(1)"
    )
    try:
        ran = subprocess.run([python_path(sys.platform), "-I", "-c", ask], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None


def make_venv(lock: int) -> str:
    """Make a new environment with the Python that runs this; before, remove all files there but the lock."""
    say(f"making .venv with Python {sys.version.split()[0]}")
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path not in (LOCK, UNFINISHED):
            path.unlink()
    venv.create(VENV, symlinks=sys.platform != "win32")  # on Windows only some users may make links
    if (failure := run(lock, "-I", "-m", "ensurepip", "--upgrade", "--default-pip")) is not None:
        raise SetupError(f"this Python has no working pip; IMPASTO_PYTHON chooses another. Its last lines:\n{failure}")
    name = python_in_venv()
    if name is None:
        raise SetupError(
            f"the Python put into .venv does not run: {python_path(sys.platform)}; IMPASTO_PYTHON chooses another"
        )
    return name


@contextlib.contextmanager
def locked() -> Iterator[int]:
    """Hold .venv/impasto-lock, and wait for it first if needed; yields its file descriptor."""
    VENV.mkdir(exist_ok=True)
    with LOCK.open("ab") as file:
        if not try_lock(file.fileno()):
            say("waiting for another one that is installing")
            while not try_lock(file.fileno()):
                time.sleep(LOCK_SECONDS)
        yield file.fileno()


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if another process has locked it."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 0, os.SEEK_SET)  # its first byte, which need not exist
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_ready(extra: str) -> bool:
    """Whether .venv works and has what pyproject.toml asks for, like `is_ready` in environment.sh."""
    try:
        ran = subprocess.run([python_path(sys.platform), "-V"], capture_output=True, text=True, timeout=60)
        version, project = ran.stdout.strip().rpartition(".")[0], (ROOT / "pyproject.toml").read_bytes()
        return (VENV / f"impasto-ready-{extra}").read_bytes() == f"{version}\n".encode() + project
    except (OSError, subprocess.TimeoutExpired):
        return False


def find_extra(arguments: Sequence[str]) -> str:
    """Return the extra that a command of impasto needs, as ./impasto chooses it."""
    command, *rest = arguments or [""]
    if command in ("batch", "sweep"):
        places = [word.removeprefix("--on=") for word in rest if word.startswith("--on=")]
        places += [after for word, after in itertools.pairwise(rest) if word == "--on"]
        return "ray" if any(place.startswith("ray") or ":" in place for place in places) else "use"
    return {"serve": "web", "video": "video"}.get(command, "use")


def set_up(extra: str) -> None:
    """Make .venv ready for `extra`, one of `EXTRAS`, in whatever state it is."""
    with locked() as lock:
        started = time.monotonic()
        ready = VENV / f"impasto-ready-{extra}"
        project = (ROOT / "pyproject.toml").read_bytes()
        name = None if UNFINISHED.exists() else python_in_venv()
        before = list(VENV.glob("impasto-ready-*"))
        sound = {path for path in before if name and path.read_bytes() == f"{name}\n".encode() + project}
        if ready in sound:
            return  # another process has done it
        UNFINISHED.touch()
        for path in before:
            path.unlink()
        name = name or make_venv(lock)
        install(lock, extra)
        UNFINISHED.unlink()
        # The extras that were installed before are still there.
        for path in sorted({ready, VENV / "impasto-ready-use", *sound}):
            temporary = VENV / "impasto-ready.part"
            temporary.write_bytes(f"{name}\n".encode() + project)
            temporary.replace(path)
        say(f"ready after {time.monotonic() - started:.0f} s")


def stop(number: int, frame: FrameType | None) -> None:
    """Turn a signal into SystemExit, so that pip is ended too."""
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up; the exit code is 0 when .venv is ready."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extra", choices=[*EXTRAS, FITTING])
    parser.add_argument("retry", nargs=argparse.REMAINDER, help="the command to name when this fails")
    options = parser.parse_args(arguments)
    join = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    retry = f"to try again: {join(options.retry)}"
    extra = find_extra(options.retry[1:]) if options.extra == FITTING else options.extra
    if options.extra == FITTING and (is_ready(extra) or is_ready("dev")):
        return 0
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    try:
        set_up(extra)
    except SetupError as error:
        say(f"{error}\nimpasto: {retry}")
        return 1
    except OSError as error:
        say(f"{VENV} could not be made: {error}\nimpasto: {retry}")
        return 1
    except KeyboardInterrupt:
        say(f"stopped; {retry}")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
