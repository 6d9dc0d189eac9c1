"""A program for `fuzz_harness`: it reads the files whose paths it is given, and prints the result for each.

    stdin   one JSON a line: [reader, bytes of memory, whole files], then a path each
    stdout  one JSON a line: {"end": "picture" | "refused" | "bug", "text": ..., "grown": bytes}

"grown" is the peak of the memory in use minus the memory in use after all imports.
"""

import json
import os
import re
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.picture import Limits, read_picture, remembered
from impasto.picture.printing import output_profile
from impasto.recipe.presets import read as read_recipe

# A damaged header may declare any size. With at most 4 million pixels, a decoder that works well stays below the limit.
LIMITS = Limits(max_pixels=4_000_000)


def any_size(path: str) -> str:
    """Read a picture as the commands do, and return its notes, a line each."""
    return "\n".join(read_picture(path).notes)


def picture(path: str) -> None:
    picture = read_picture(path, limits=LIMITS)
    assert picture.pixels.min() >= 0  # false for NaN
    assert picture.pixels.max() <= 1


def memory(path: str) -> None:
    remembered(path, limits=LIMITS).to_toml()


def show(path: str) -> None:
    from click.testing import CliRunner

    from impasto.cli import command

    result = CliRunner().invoke(command, ["show", path])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if re.search(r"[\x00-\x09\x0b-\x1f\x7f\x1b]", result.output):
        raise AssertionError("control characters in what is shown")


def profile(path: str) -> None:
    import numpy as np

    found = output_profile(path)
    found.proof(np.linspace(0, 1, 192, dtype=np.float32).reshape(8, 8, 3))


def recipe(path: str) -> None:
    found = read_recipe(path)
    if read_recipe.__globals__["Recipe"].from_toml(found.to_toml()) != found:
        raise AssertionError("a recipe that does not survive TOML")


def weights(path: str) -> None:
    from impasto.vgg.weights.importing import import_file
    from tests.vgg.weights import samples as weights_making

    import_file(Path(path), specs=weights_making.specs(), force=True)


def note(path: str) -> None:
    from impasto.vgg.weights import store

    place = store.prepare() / "small.json"
    place.write_bytes(Path(path).read_bytes())
    store.entry("small")


READERS: dict[str, Callable[[str], str | None]] = {
    each.__name__: each for each in (any_size, picture, memory, show, profile, recipe, weights, note)
}


def attempt(reader: str, path: str) -> tuple[str, str]:
    """Return ("picture" | "refused" | "bug", the message)."""
    try:
        return "picture", READERS[reader](path) or ""
    except ImpastoError as error:
        text = str(error)
        if "\n" in text or not text.isprintable():
            return "bug", f"not one printable line: {text!r}"
        if len(text) > 1000:
            return "bug", f"{len(text)} characters are no line: {text[:200]}"
        if "does not fit into memory" in text:
            return "bug", text
        return "refused", text
    except BaseException:
        return "bug", traceback.format_exc()


def status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def warm_up(reader: str, paths: list[str]) -> None:
    for path in paths:
        end, text = attempt(reader, path)
        if end == "bug":
            raise SystemExit(f"a whole file, {path}: {text}")


def main() -> None:
    reader, memory, *whole = json.loads(sys.stdin.readline())
    # Output of a decoder would appear in the user's terminal, so it is reported as a bug.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        warm_up(reader, whole)
        if reader not in ("weights", "note") and "torch" in sys.modules:
            raise SystemExit("torch was imported")
        baseline = status("VmRSS")
        limit = status("VmSize") + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        print(json.dumps({"end": "ready", "baseline": baseline}), file=answers)
        for line in sys.stdin:
            before = os.lseek(1, 0, os.SEEK_END)
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the memory in use now
            end, text = attempt(reader, json.loads(line))
            sys.stderr.flush()
            grown = status("VmHWM") - baseline
            if os.lseek(1, 0, os.SEEK_END) != before:
                printed.seek(before)
                end, text = "bug", f"printed {printed.read(2000)!r}"
            print(json.dumps({"end": end, "text": text, "grown": grown}), file=answers)


if __name__ == "__main__":
    main()
