"""Makes the modules of impasto see what they would see on Windows; to be put on PYTHONPATH.

`import signal`, `os` and `sys` in them give modules without what Windows lacks, and modules of POSIX are not there. The
libraries, the paths and the files stay those of this system.
"""

import builtins
import multiprocessing.connection
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

MISSING_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# https://docs.python.org/3/library/signal.html and os.html: "Availability: Unix".
MISSING = {
    "signal": {
        "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1",
        "SIGUSR2", "SIGWINCH", "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK", "alarm", "pause", "pthread_kill",
        "pthread_sigmask", "setitimer", "sigwait",
    },
    "os": {
        "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "chown", "chroot", "confstr", "fchmod", "fchown",
        "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp",
        "getpriority", "getsid", "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "pathconf",
        "posix_fallocate", "posix_spawn", "pread", "sched_getaffinity", "sched_setaffinity", "sched_yield", "setgid",
        "setpgid", "setpriority", "setsid", "setuid", "statvfs", "sync", "sysconf", "ttyname", "uname", "wait",
        "waitid",
    },
    "sys": set[str](),
}  # fmt: skip
ADDED: dict[str, dict[str, object]] = {
    "signal": {"SIGBREAK": signal.SIGTTIN},  # both have the number 21
    "os": {"name": "nt"},
    "sys": {"platform": "win32"},
}
# Where Windows has another class for the same thing.
multiprocessing.connection.PipeConnection = multiprocessing.connection.Connection  # type: ignore[attr-defined]


class WindowsModule(ModuleType):
    """A module of the standard library as it is on Windows."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__["module"] = module

    def __getattr__(self, name: str) -> object:
        module = self.__dict__["module"]
        if name in MISSING[module.__name__]:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r} on Windows")
        added = ADDED[module.__name__]
        return added[name] if name in added else getattr(module, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["module"], name, value)


WINDOWS = {module.__name__: WindowsModule(module) for module in (os, signal, sys)}
import_module = builtins.__import__


def import_as_on_windows(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import for a module of impasto what Windows has, and for the others what there is."""
    importer = str((globals or {}).get("__name__", "")).partition(".")[0]
    if importer == "impasto" and level == 0:
        if name.partition(".")[0] in MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r} on Windows", name=name)
        if name in WINDOWS:
            return WINDOWS[name]
    return import_module(name, globals, locals, fromlist, level)


builtins.__import__ = import_as_on_windows
