"""`impasto weights` at a terminal and in a pipe."""

import dataclasses
import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from impasto.cli import command
from impasto.errors import WeightsError
from impasto.recipe.vgg_layers import Convolution
from impasto.vgg.weights.spec import SPECS, Official

SMALL = (Convolution("conv1_1", 3, 4), Convolution("conv2_1", 4, 4))


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A .pth with the names of torchvision, of a network of two convolutions."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"features.0": (4, 3, 3, 3), "features.3": (4, 4, 3, 3)}
    table = {f"{name}.weight": torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    torch.save(table | {f"{name}.bias": torch.zeros(4) for name in shapes}, tmp_path / "file.pth")
    return tmp_path / "file.pth"


@pytest.fixture
def small(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make vgg19 that small network, with `file` as the official one, served on the loopback."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *rest: Any) -> None:
            super().__init__(*rest, directory=str(file.parent))

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    content = file.read_bytes()
    url = f"http://127.0.0.1:{server.server_address[1]}/{file.name}"
    official = Official(url, len(content), "sha256", hashlib.sha256(content).hexdigest())
    for name in ("vgg19", "vgg19-caffe"):
        known = official if name == "vgg19" else SPECS[name].official
        monkeypatch.setitem(SPECS, name, dataclasses.replace(SPECS[name], convolutions=SMALL, official=known))
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, ["weights", *arguments])
    if isinstance(result.exception, WeightsError):
        # impasto.cli.main says this line and exits so.
        return result.exception.exit_code, result.stdout, f"{result.stderr}impasto: {result.exception}"
    return result.exit_code, result.stdout, result.stderr


def test_list_says_what_there_is_and_where() -> None:
    code, output, _ = run("list")
    lines = [line.split() for line in output.splitlines()]
    assert code == 0
    assert lines[0][:2] == ["vgg16", "VGG-16"]
    assert output.splitlines()[0].endswith("inside the package")
    assert lines[2][:4] == ["vgg19", "VGG-19", "548", "MiB"]
    assert output.splitlines()[2].endswith("not fetched")
    for part in ("torchvision", "BSD 3-Clause", "Zisserman", "CC BY 4.0", "Keras"):
        assert part in output


@pytest.mark.usefixtures("small")
def test_fetch_verify_path_and_damage(cache: Path) -> None:
    code, output, said = run("fetch", "vgg19")
    assert (code, output) == (0, "")
    assert "vgg19: fetched, from the official file; in " in said
    assert "already here" in run("fetch", "vgg19")[2]
    assert run("fetch", "vgg19", "-q") == (0, "", "")
    assert "cached" in run("list")[1]
    code, output, _ = run("verify")
    assert code == 0
    assert "vgg16, SHA-256" in output
    assert "vgg19, SHA-256" in output
    assert "official file" in output
    assert "vgg19-caffe, not fetched" in output

    path = Path(run("path", "vgg19")[1].strip())
    assert path.parent == cache == Path(run("path")[1].strip())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, output, said = run("verify")
    assert code == 1
    assert "damaged or replaced" in output
    assert "1 of 3 weights are damaged" in said
    assert run("verify", "vgg19")[0] == 1
    path.unlink()
    assert "damaged" in run("list")[1]


@pytest.mark.usefixtures("small")
def test_import(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "my own.pth"
    table = torch.load(file)
    table["features.0.bias"] += 1
    torch.save(table, other)

    code, _, said = run("import", str(other))
    assert code == 1
    assert "does not say for which pixels" in said
    assert "--as vgg19 (RGB in 0..1) or --as vgg19-caffe (BGR in 0..255)" in said
    code, _, said = run("import", str(other), "--as", "vgg19")
    assert code == 0
    assert "vgg19: imported; recognised by --as vgg19, its hash is not one that impasto knows" in said
    code, _, said = run("import", str(file))
    assert code == 1
    assert "add --force" in said
    code, _, said = run("import", str(file), "--force")
    assert code == 0
    assert "vgg19: imported; official file; in " in said
    assert run("import", str(file), "-q") == (0, "", "")


def test_not_here() -> None:
    for arguments in (["path", "vgg19"], ["verify", "vgg19-caffe"]):
        code, output, said = run(*arguments)
        assert (code, output) == (1, "")
        assert f"{arguments[1]}: not on this machine; run 'impasto weights fetch {arguments[1]}'" in said
    assert "nothing to fetch" in run("fetch", "vgg16")[2]
    code, output, _ = run("path", "vgg16")
    assert code == 0
    assert Path(output.strip()).is_file()


def test_a_relative_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_CACHE", "here")
    for arguments in (["list"], ["path"], ["verify", "vgg19"], ["fetch", "vgg19"]):
        code, _, said = run(*arguments)
        assert code == 1
        assert "IMPASTO_CACHE: here is not an absolute path" in said


def test_offline_is_one_line_of_the_real_command_with_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    done = subprocess.run(
        [sys.executable, "-m", "impasto", "weights", "fetch", "vgg19"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    official = SPECS["vgg19"].official
    assert official is not None
    for part in ("IMPASTO_OFFLINE", official.url, official.digest, "574673361 bytes", "impasto weights import FILE"):
        assert part in done.stderr


def test_a_hostile_file_is_one_line_of_the_real_command(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.pth"
    path.write_bytes(b"\x80\x04K\x01.")
    done = subprocess.run(
        [sys.executable, "-m", "impasto", "weights", "import", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "is a pickle that torch.save did not write" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["list"], ["path"]])
def test_what_needs_no_torch_does_not_import_it(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ['impasto', 'weights', *{arguments!r}]
from impasto.cli import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
assert 'torch' not in sys.modules and 'h5py' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_run_with_weights_that_are_not_here_says_so_and_downloads_nothing(tmp_path: Path, cache: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32), "red").save(tmp_path / "photo.png")
    photo = str(tmp_path / "photo.png")
    done = subprocess.run(
        [sys.executable, "-m", "impasto", "stylize", photo, photo, "--network", "vgg19", "-o", str(tmp_path / "o.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "vgg19: not on this machine; run 'impasto weights fetch vgg19' (548 MiB)" in done.stderr
    assert not cache.exists()
