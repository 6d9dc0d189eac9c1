"""Make the clone's .venv and install impasto into it: what ./impasto and ./test do at their first use.

Standard library only, run by the Python that the environment is made from. Three kinds of file in .venv keep it sound:

- `impasto-lock`: held (flock) by whoever installs, pip included; a second first use waits for it.
- `impasto-unfinished`: there from before pip starts until it ends well. Pip takes half a package for a whole one, so an
  environment with this file is made anew.
- `impasto-ready-use` and one for each extra that was installed: written last. The Python it was made for and the
  pyproject.toml it was made from; environment.sh compares them.
"""

import argparse
import contextlib
import os
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

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = VENV / "impasto-lock"
UNFINISHED = VENV / "impasto-unfinished"

TORCH = "torch>=2.10"  # as in pyproject.toml
TORCH_FOR_CPU = "torch==2.13.0"  # ours: the version that the tests run on
EXTRAS = {"use": "", "web": " for the page", "video": " for films", "ray": " for clusters", "dev": " for development"}
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # pytorch.org, "Get started": builds without CUDA's 2 GB
PROBE_SECONDS = 5.0  # ours: a far mirror answers in one or two


class SetupError(Exception):
    """The environment could not be made; the text is for the user."""


def say(text: str) -> None:
    """One plain line for the user."""
    print(f"impasto: {text}", file=sys.stderr, flush=True)


def has_nvidia() -> bool:
    """Whether this machine has a working NVIDIA driver."""
    if Path("/proc/driver/nvidia").exists():
        return True
    try:
        return subprocess.run(["nvidia-smi"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def can_reach(url: str, seconds: float) -> bool:
    """Whether a server answers there, through the proxies of the environment. Never takes longer than `seconds`."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answers.append(True)
        except urllib.error.HTTPError as error:
            answers.append(error.code < 500)
        except urllib.error.URLError as error:  # pip may know certificates that we don't: let it try
            answers.append(isinstance(error.reason, ssl.SSLCertVerificationError))
        except OSError:
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)  # a thread, as looking up a name knows no time limit
    asking.start()
    asking.join(seconds)
    return answers == [True]


def run(lock: int, *arguments: str) -> str | None:
    """Run .venv's Python with these arguments. None when all went well, else the last lines of what it said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    ran = subprocess.run(
        [str(PYTHON), *arguments],
        cwd=ROOT,
        env=environment,
        pass_fds=[lock],  # should this process be killed, nobody starts before pip has ended too
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return None if ran.returncode == 0 else "\n".join(ran.stdout.strip().splitlines()[-12:])


def pip_install(lock: int, *arguments: str) -> str | None:
    """Install into .venv, as the user's own settings of pip say; the result is as for `run`."""
    return run(lock, "-m", "pip", "install", *arguments)


def install_torch(lock: int) -> None:
    """Install PyTorch: without CUDA where it would be of no use, if that build can be had."""
    say("installing PyTorch; once, some minutes")
    if sys.platform != "linux" or has_nvidia():
        failure = pip_install(lock, TORCH)
    else:
        failure = "unreachable"
        if can_reach(f"{CPU_INDEX}/torch/", PROBE_SECONDS):
            failure = pip_install(lock, "--retries", "0", "--timeout", "15", "--index-url", CPU_INDEX, TORCH_FOR_CPU)
        if failure is not None:
            say("PyTorch's own index of CPU builds cannot be used from here: taking it from the usual one")
            failure = pip_install(lock, "--retries", "1", "--timeout", "30", TORCH_FOR_CPU)
    if failure is not None:
        raise SetupError(f"PyTorch could not be installed. The last lines of pip:\n{failure}")


def install(lock: int, extra: str) -> None:
    """Install PyTorch, if there is none yet, then impasto with what it needs."""
    if not any(VENV.glob("lib/python*/site-packages/torch-*.dist-info")):
        install_torch(lock)
    say(f"installing impasto and what it needs{EXTRAS[extra]}")
    failure = pip_install(lock, "--editable", "." if extra == "use" else f".[{extra}]")
    if failure is not None:
        raise SetupError(f"what impasto needs could not be installed. The last lines of pip:\n{failure}")


def python_in_venv() -> str | None:
    """The .venv's Python, as in `Python 3.11`; None where it does not run, is too old or has no pip."""
    ask = (
        "import pip, sys; print('Python %d.%d' % sys.version_info[:2]) if sys.version_info >= (3, 11) else sys.exit(1)"
    )
    try:
        ran = subprocess.run([PYTHON, "-I", "-c", ask], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None


def make_venv(lock: int) -> str:
    """An empty environment, made from the Python that runs this; all that was there goes, but for the lock."""
    say(f"making .venv with Python {sys.version.split()[0]}")
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path not in (LOCK, UNFINISHED):
            path.unlink()
    venv.create(VENV, symlinks=True)
    if (failure := run(lock, "-I", "-m", "ensurepip", "--upgrade", "--default-pip")) is not None:
        raise SetupError(f"this Python has no working pip; IMPASTO_PYTHON chooses another. Its last lines:\n{failure}")
    name = python_in_venv()
    if name is None:
        raise SetupError(f"the Python put into .venv does not run: {PYTHON}; IMPASTO_PYTHON chooses another")
    return name


@contextlib.contextmanager
def locked() -> Iterator[int]:
    """Hold .venv/impasto-lock, waiting for it if need be; gives its file descriptor."""
    import fcntl  # here: the functions above can then be imported on Windows

    VENV.mkdir(exist_ok=True)
    with LOCK.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another one that is installing")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def set_up(extra: str) -> None:
    """Make .venv ready for `extra`, one of `EXTRAS`, whatever state it is in."""
    with locked() as lock:
        started = time.monotonic()
        ready = VENV / f"impasto-ready-{extra}"
        project = (ROOT / "pyproject.toml").read_bytes()
        name = None if UNFINISHED.exists() else python_in_venv()
        before = list(VENV.glob("impasto-ready-*"))
        sound = {path for path in before if name and path.read_bytes() == f"{name}\n".encode() + project}
        if ready in sound:
            return  # someone else was faster
        UNFINISHED.touch()
        for path in before:
            path.unlink()
        name = name or make_venv(lock)
        install(lock, extra)
        UNFINISHED.unlink()
        # What was there before still is.
        for path in sorted({ready, VENV / "impasto-ready-use", *sound}):
            temporary = VENV / "impasto-ready.part"
            temporary.write_bytes(f"{name}\n".encode() + project)
            temporary.replace(path)
        say(f"ready after {time.monotonic() - started:.0f} s")


def stop(number: int, frame: FrameType | None) -> None:
    """End on a signal as by an exception, so that pip is ended too."""
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up; the exit code is 0 when .venv is ready."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extra", choices=EXTRAS)
    parser.add_argument("retry", nargs=argparse.REMAINDER, help="the command to name when this fails")
    options = parser.parse_args(arguments)
    retry = f"to try again: {shlex.join(options.retry)}"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        set_up(options.extra)
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
