"""A Python in which impasto sees Windows; it is imported by every Python that starts with this folder on PYTHONPATH.

What is simulated, on Linux:

- impasto's own modules find `sys.platform` to be "win32". Modules, signals and functions of `os` that Windows lacks are
  absent for them, whether they ask by import, by attribute or by `hasattr`.
- Nobody, of our modules or others, can start a process by fork or give an event loop a signal handler.
- Some files by which Linux describes the machine are not there.
- A file that is open in the process cannot be removed, renamed or replaced; a name that Windows forbids cannot be made.
- Text files are opened with a named encoding only, since that of Windows is not UTF-8.
- A lock file is removed when its lock is released, as filelock does there; click expands patterns of file names.

What is not: the standard library and the packages we stand on still see Linux, since they could not work otherwise;
paths have slashes and no drives; pipes, sockets, consoles and child processes are those of Linux.
"""

import builtins
import contextlib
import errno
import importlib.abc
import importlib.machinery
import os
import re
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

# https://docs.python.org/3/library: the modules whose page says that they are for Unix.
ABSENT_MODULES = """
crypt curses fcntl grp nis ossaudiodev posix pty pwd readline resource spwd syslog termios tty
"""
# https://docs.python.org/3/library/os.html: the functions whose availability is Unix.
ABSENT_IN_OS = """
chroot confstr ctermid eventfd fchdir fchmod fchown fork forkpty fpathconf getegid geteuid getgid getgroups getloadavg
getpgid getpgrp getpriority getsid getuid initgroups killpg lchown lockf major makedev memfd_create minor mkfifo mknod
nice openpty pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn pread pwrite readv register_at_fork
sched_getaffinity sched_setaffinity sched_yield sendfile setpgid setpriority setsid setuid statvfs sync sysconf
tcgetpgrp ttyname uname wait wait3 wait4 waitid writev O_NONBLOCK O_CLOEXEC O_NOFOLLOW O_DIRECTORY O_SYNC WNOHANG
WIFEXITED WEXITSTATUS
"""
# https://docs.python.org/3/library/signal.html: all that there is on Windows. Ctrl-Break is played by SIGQUIT.
SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
IN_SIGNAL = (*SIGNALS, "SIG_DFL", "SIG_IGN", "Signals", "Handlers", "NSIG", "getsignal", "raise_signal", "strsignal")
FILES_OF_LINUX = ("/proc/cpuinfo", "/sys/fs/cgroup/cpu.max")
FORBIDDEN_NAME = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


class WindowsModule(ModuleType):
    """A module as it is on Windows: another one, without some names and with some of its own."""

    def __init__(self, real: ModuleType, has: Callable[[str], bool], own: Mapping[str, Any]) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(own)
        self.__dict__["_real"], self.__dict__["_has"] = real, has

    def __getattr__(self, name: str) -> Any:
        if not self._has(name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def set_signal(number: int, handler: Any) -> Any:
    """Handle a signal, if Windows has it."""
    if number not in [getattr(signal, name) for name in (*SIGNALS, "SIGQUIT")]:
        raise ValueError("invalid signal value")
    return signal.signal(number, handler)


class WindowsSocket(socket.socket):
    """A socket that does not take SO_REUSEADDR: on Windows it lets two programs listen on one port."""

    def setsockopt(self, level: int, name: int, *value: Any) -> None:
        """Set an option."""
        if (level, name) == (socket.SOL_SOCKET, socket.SO_REUSEADDR):
            raise AssertionError("SO_REUSEADDR lets another program take our port on Windows")
        if name != EXCLUSIVE:
            super().setsockopt(level, name, *value)


EXCLUSIVE = -5  # https://learn.microsoft.com/windows/win32/winsock/using-so-reuseaddr-and-so-exclusiveaddruse
MODULES = {
    "os": WindowsModule(os, lambda name: name not in ABSENT_IN_OS.split(), {"name": "nt", "O_BINARY": 0}),
    "sys": WindowsModule(sys, lambda name: True, {"platform": "win32"}),
    "signal": WindowsModule(signal, lambda name: name in IN_SIGNAL, {"signal": set_signal, "SIGBREAK": signal.SIGQUIT}),
    "socket": WindowsModule(
        socket,
        lambda name: name not in ("AF_UNIX", "socketpair_unix"),
        {"SO_EXCLUSIVEADDRUSE": EXCLUSIVE, "socket": WindowsSocket},
    ),
}


def import_on_windows(
    name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
) -> ModuleType:
    """Import a module as it is on Windows."""
    if level == 0 and name.partition(".")[0] in ABSENT_MODULES.split():
        raise ModuleNotFoundError(f"No module named {name!r} on Windows", name=name)
    if level == 0 and name in MODULES:
        return MODULES[name]
    return real_import(name, globals, locals, fromlist, level)


real_import = builtins.__import__
BUILTINS = {**vars(builtins), "__import__": import_on_windows}


class WindowsLoader(importlib.machinery.SourceFileLoader):
    """Runs a module with the imports of Windows."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        module.__dict__["__builtins__"] = BUILTINS
        super().exec_module(module)


class WindowsFinder(importlib.abc.MetaPathFinder):
    """Finds our own modules."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        """Find a module of ours."""
        if name.partition(".")[0] != "impasto":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = WindowsLoader(spec.loader.name, spec.loader.path)
        return spec


def refuse_what_windows_refuses(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse names that Windows forbids, and changes of files that are open here; an audit hook."""
    if event == "open":
        name, _, flags = arguments
        if name in FILES_OF_LINUX:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        if isinstance(name, str | bytes) and flags & (os.O_CREAT | os.O_WRONLY):
            refuse_name(os.fsdecode(name))
    elif event == "os.mkdir":
        refuse_name(os.fsdecode(arguments[0]))
    elif event == "os.remove" and arguments[1] == -1:
        refuse_open_file(arguments[0])
    elif event == "os.rename":
        refuse_name(os.fsdecode(arguments[1]))
        refuse_open_file(arguments[0])
        refuse_open_file(arguments[1])


def refuse_name(path: str) -> None:
    if any(FORBIDDEN_NAME.search(part) for part in PurePosixPath(path).parts if part not in (".", "..")):
        raise OSError(errno.EINVAL, "Invalid argument: Windows forbids this name", path)


def refuse_open_file(path: Any) -> None:
    whole = os.path.realpath(os.fsdecode(path))
    if whole in list_open_files():
        raise PermissionError(errno.EACCES, "The process cannot access the file: it is open", whole)


def list_open_files() -> set[str]:
    """Return the files that this process has open or mapped into memory."""
    files = set()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):  # the descriptor of this very listing has gone
            files.add(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
        # Address, rights, offset, device, inode, and a path if it is a file.
        files.update(fields[5].rstrip("\n") for line in maps if len(fields := line.split(maxsplit=5)) == 6)
    return files


def remove_locks_when_released() -> None:
    import filelock

    release = filelock.UnixFileLock._release  # noqa: SLF001

    def release_and_remove(lock: Any) -> None:
        release(lock)
        with contextlib.suppress(OSError):
            os.unlink(lock.lock_file)  # noqa: PTH108

    filelock.UnixFileLock._release = release_and_remove  # type: ignore[assignment,method-assign]  # noqa: SLF001


def let_click_expand_patterns() -> None:
    import click.core

    click.core.os = MODULES["os"]  # type: ignore[attr-defined]


def forbid_forks_and_loop_signals() -> None:
    import asyncio
    import multiprocessing.connection
    import multiprocessing.context

    def refuse(*_: Any) -> None:
        raise NotImplementedError

    asyncio.SelectorEventLoop.add_signal_handler = refuse  # type: ignore[assignment,method-assign]
    contexts: Any = multiprocessing.context
    for name in ("fork", "forkserver"):
        contexts._concrete_contexts.pop(name, None)  # noqa: SLF001
    contexts._default_context._default_context = multiprocessing.get_context("spawn")  # noqa: SLF001
    # Only its name is used, in type hints.
    multiprocessing.connection.PipeConnection = multiprocessing.connection.Connection  # type: ignore[attr-defined]
    del os.fork, os.forkpty


sys.meta_path.insert(0, WindowsFinder())
forbid_forks_and_loop_signals()
remove_locks_when_released()
let_click_expand_patterns()
warnings.filterwarnings("ignore", category=EncodingWarning)
warnings.filterwarnings("error", category=EncodingWarning, module=r"impasto\.")
sys.addaudithook(refuse_what_windows_refuses)
