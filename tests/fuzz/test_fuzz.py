"""Damaged files give a picture or one clear line, in little time and memory.

`scripts/fuzz` runs the same by hand and can repeat a single file.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import fuzz_bombs, fuzz_harness, fuzz_seeds

KINDS = [kind for kind in fuzz_seeds.KINDS if kind != "heic" or importlib.util.find_spec("pillow_heif")]


def check(kind: str, count: int, tmp_path: Path) -> None:
    found = fuzz_harness.survey(kind, range(count), tmp_path, tmp_path / "kept")
    assert not found.findings, "\n".join(map(str, found.findings))
    # Files that are damaged too much or not at all would test nothing.
    assert found.ends["refused"] >= count // 10
    assert found.ends["picture"] >= count // 50


@pytest.mark.parametrize("kind", KINDS)
def test_sixty_damaged_files(kind: str, tmp_path: Path) -> None:
    check(kind, 60, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_thousand_damaged_files(kind: str, tmp_path: Path) -> None:
    check(kind, 2000, tmp_path)


def test_a_collection_is_read_and_summed_up(tmp_path: Path) -> None:
    folder = tmp_path / "some\npictures"
    (folder / "inner").mkdir(parents=True)
    whole = fuzz_seeds.png()[0]
    files = {"a.png": whole, "inner/b.png": whole[:-1], "cut.png": whole[:300], "c.png": b"text", "d.jpg": b"text"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    corpus = Path(__file__).resolve().parents[2] / "scripts" / "corpus"
    ran = subprocess.run([sys.executable, str(corpus), str(folder)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ": 2 read, 3 refused, 0 faults\n" in ran.stdout
    assert "      1  The file is cut short behind" in ran.stdout
    assert "      2  is not a picture of a known format" in ran.stdout
    assert "      1  is damaged or cut short (the pixels are incomplete)" in ran.stdout
    assert ran.stdout.index("Slowest:") < ran.stdout.index("Largest:")
    assert "some\\npictures" in ran.stdout


def test_the_same_seed_spoils_the_same_way() -> None:
    one, other = (dict(fuzz_harness.cases("png", range(20))) for _ in range(2))
    assert one == other
    assert len(set(one.values())) > 15


@pytest.mark.parametrize("kind", KINDS)
def test_hardly_a_file_is_left_as_it_was(kind: str) -> None:
    files = {fuzz_seeds.wrapped(kind, data) for data in fuzz_seeds.KINDS[kind]()}
    assert sum(data in files for _, data in fuzz_harness.cases(kind, range(60))) <= 6


# Files that have shown a bug before.
@pytest.mark.parametrize(("kind", "seed"), [("tiff", 1382)])
def test_found_before(kind: str, seed: int, tmp_path: Path) -> None:
    found = fuzz_harness.survey(kind, [seed], tmp_path, tmp_path / "kept")
    assert not found.findings, "\n".join(map(str, found.findings))


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """The result for each bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    whole = folder / "whole"
    whole.write_bytes(fuzz_seeds.png()[0])
    ends = {}
    with fuzz_harness.Worker("picture", [str(whole)], folder) as worker:
        for name, (make, _) in fuzz_bombs.BOMBS.items():
            path = folder / name
            path.write_bytes(make())
            ends[name] = worker.read(path)
    return ends


@pytest.mark.parametrize("name", fuzz_bombs.BOMBS)
def test_a_bomb_does_not_go_off(name: str, bombs: dict[str, dict[str, object]]) -> None:
    end, words = bombs[name], fuzz_bombs.BOMBS[name][1]
    assert end["end"] == ("refused" if words else "picture"), end["text"]
    assert words in str(end["text"])
    # Less than the bombs would expand to; a picture of 4 million pixels takes about as much.
    assert int(str(end["grown"])) < 80 * 2**20


# Faults that are added to the worker, to show that the harness finds them.
PLANTED = {
    "raises": ("raise KeyError(path)", "KeyError"),
    "dies": ("os.kill(os.getpid(), 11)", "died, status -11"),
    "hangs": ("import time; time.sleep(60)", "no answer in"),
    "prints": ("os.write(2, b'libpng warning')", "printed b'libpng warning'"),
    "swells": ("bytearray(70 * 2**20).count(1)", "took 7"),
    "bursts": ("bytearray(2**36)", "MemoryError"),
    "two lines": ("from impasto.errors import PictureError; raise PictureError('a\\nb')", "not one printable line"),
}


@pytest.mark.parametrize("how", PLANTED)
def test_the_harness_notices(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, words = PLANTED[how]
    program = tmp_path / "fuzz_worker.py"
    text = (fuzz_harness.HERE / "fuzz_worker.py").read_text()
    planted = f'def picture(path: str) -> None:\n    if "whole" not in path:\n        {code}\n'
    start, end = text.index("def picture("), text.index("def memory(")
    program.write_text(text[:start] + planted + "\n\n" + text[end:])
    monkeypatch.setattr(fuzz_harness, "WORKER", program)
    monkeypatch.setattr(fuzz_harness, "GROWN", 50 * 2**20)
    if how == "hangs":
        monkeypatch.setattr(fuzz_harness, "SECONDS", 1.5)
    monkeypatch.setattr(fuzz_harness, "readers", lambda kind: ("picture",))
    found = fuzz_harness.survey("bmp", range(2), tmp_path, tmp_path / "kept")
    # The second file is found too, because the worker was started again.
    assert [words in finding.text for finding in found.findings] == [True, True], found.findings
    assert all(finding.kept is not None and finding.kept.exists() for finding in found.findings)
