"""Let worker processes read damaged files, and record every file that gives neither a picture nor one clear line."""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.fuzz import fuzz_seeds
from tests.fuzz.fuzz_mutations import mutated

HERE = Path(__file__).resolve().parent
WORKER = HERE / "fuzz_worker.py"
SOURCE = HERE.parent.parent / "src"
# Ours: undamaged files of this size take milliseconds and a few megabytes.
SECONDS = 10
GROWN = 600 * 2**20
# Bytes that a worker may map beyond those that it has mapped after its imports.
ADDRESS_SPACE = 3 * 2**30

READERS = {"recipe": "recipe", "weights": "weights", "profile": "profile"}
ENDINGS = (".png", ".jpg", ".tif", ".webp", ".gif", ".bmp", ".avif", ".heic", ".ppm", "", ".txt", ".toml")


@dataclass
class Finding:
    """A file that gave neither a picture nor one clear line."""

    case: str
    reader: str
    text: str
    kept: Path | None = None

    def __str__(self) -> str:
        return f"{self.case} ({self.reader}): {self.text}\n    kept as {self.kept}"


@dataclass
class Survey:
    """The results of reading many files."""

    ends: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    grown: int = 0
    slowest: float = 0.0


class Worker:
    """A process that reads files and is started again when it dies."""

    def __init__(
        self, reader: str, whole: list[str], folder: Path, seconds: int = SECONDS, memory: int = ADDRESS_SPACE
    ) -> None:
        self.reader, self.whole, self.folder = reader, whole, folder
        self.seconds, self.memory = seconds, memory
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        paths = [str(SOURCE), str(HERE.parents[1])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "IMPASTO_CACHE": str(self.folder / "cache"),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        answer = self._ask([self.reader, self.memory, *self.whole], 120)
        if answer is None or answer["end"] != "ready":
            raise RuntimeError(f"the worker did not start: {self.process.communicate()[1].decode()[-2000:]}")

    def read(self, path: Path) -> dict[str, object]:
        """Return the result for a file; if the worker died or hung, that is a bug."""
        if self.process is None:
            self.start()
        answer = self._ask(str(path), self.seconds)
        if answer is not None:
            return answer
        assert self.process is not None
        assert self.process.stdout is not None
        hung = self.process.poll() is None and not select.select([self.process.stdout], [], [], 0)[0]
        self.process.kill()
        code = self.process.wait()
        self.stop()
        return {"end": "bug", "text": f"no answer in {self.seconds} s" if hung else f"died, status {code}", "grown": 0}

    def _ask(self, message: object, seconds: float) -> dict[str, object] | None:
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()


def cases(kind: str, seeds: Iterable[int]) -> Iterable[tuple[str, bytes]]:
    """Yield (name, content) of damaged files; the name contains kind and seed."""
    files = fuzz_seeds.KINDS[kind]()
    others = files if kind in ("weights", "recipe") else [*fuzz_seeds.png(), *fuzz_seeds.jpeg(), *fuzz_seeds.tiff()[:3]]
    for seed in seeds:
        ending = random.Random(seed).choice(ENDINGS)
        yield f"{kind}-{seed}{ending}", fuzz_seeds.wrapped(kind, mutated(kind, seed, files, others))


def readers(kind: str) -> tuple[str, ...]:
    if kind == "weights":
        return ("weights", "note")
    if kind in READERS:
        return (READERS[kind],)
    return ("picture", "show" if kind in ("document", "exif") else "memory")


def survey(kind: str, seeds: Iterable[int], folder: Path, keep: Path) -> Survey:
    """Read damaged files of a kind and return the results; files that show a bug are kept in `keep`."""
    found = Survey()
    made = dict(cases(kind, seeds))
    whole = []
    for number, data in enumerate(fuzz_seeds.KINDS[kind]()):
        whole.append(str(folder / f"whole-{kind}-{number}"))
        Path(whole[-1]).write_bytes(fuzz_seeds.wrapped(kind, data))
    for reader in readers(kind):
        with Worker(reader, whole, folder) as worker:
            for name, data in made.items():
                path = folder / name
                path.write_bytes(data)
                began = time.perf_counter()
                answer = worker.read(path)
                found.slowest = max(found.slowest, time.perf_counter() - began)
                end, text, grown = str(answer["end"]), str(answer["text"]), int(str(answer["grown"]))
                if end != "bug" and grown > GROWN:
                    end, text = "bug", f"took {grown / 2**20:.0f} MB"
                found.ends[end] += 1
                found.grown = max(found.grown, grown)
                if end == "bug":
                    keep.mkdir(parents=True, exist_ok=True)
                    kept = Path(shutil.copy(path, keep / name))
                    found.findings.append(Finding(name, reader, text, kept))
                path.unlink()
    return found
