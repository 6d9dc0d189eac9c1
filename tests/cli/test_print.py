"""Options for printing on the command line: profiles, proofs, compressions, HEIC."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import ImageCms

from impasto.cli import command
from impasto.errors import OutputError, UsageError
from impasto.picture import Picture, read_picture

QUICK = ["--size", "32", "--start-size", "16", "--steps", "1", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photo.png (24 x 32), painting.png and screen.icc."""
    picture(24, 32, 1).save(tmp_path / "photo.png", bits=16)
    picture(40, 30, 2).save(tmp_path / "painting.png")
    import imagecodecs

    (tmp_path / "screen.icc").write_bytes(imagecodecs.cms_profile("adobergb"))
    (tmp_path / "lab.icc").write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["stylize", "photo.png", "painting.png", *QUICK, *arguments])


def test_sixteen_bits_in_a_profile_with_a_proof(folder: Path) -> None:
    result = run("-o", "out.tif", "--bits", "16", "--compression", "lzw", "--profile", "screen.icc",
                 "--proof", "screen.icc")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "note: the proof is in out.proof.png" in result.stderr
    with tifffile.TiffFile("out.tif") as file:
        page = file.pages.first
        assert (page.bitspersample, page.compression) == (16, 5)
        assert page.tags[34675].value == Path("screen.icc").read_bytes()
    out, proof = read_picture("out.tif"), read_picture("out.proof.png")
    assert (out.bits, proof.bits) == (16, 16)
    assert run("-o", "plain.png", "--bits", "16", "-q").exit_code == 0
    plain = read_picture("plain.png")
    assert np.abs(out.pixels - plain.pixels).max() < 0.002
    # Adobe RGB holds all of sRGB, so that its proof is the picture.
    assert np.abs(proof.pixels - plain.pixels).max() < 0.002


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out.png", "--profile", "missing.icc"], "no such file"),
        (["-o", "out.png", "--profile", "photo.png"], "is no ICC profile"),
        (["-o", "out.png", "--profile", "lab.icc"], "is a profile of Lab"),
        (["-o", "out.png", "--proof", "missing.icc"], "no such file"),
        (["-o", "out.png", "--compression", "lzw"], "no choice of compression"),
        (["-o", "out.jpg", "--bits", "16"], "8 bits"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_painted(arguments: list[str], words: str, folder: Path) -> None:
    error = run(*arguments).exception
    assert isinstance(error, OutputError)
    assert words in str(error)
    assert not list(folder.glob("out*"))


def test_a_proof_needs_a_name_and_spares_what_is_there(folder: Path) -> None:
    assert isinstance(run("-o", "-", "--proof", "screen.icc").exception, UsageError)
    Path("out.proof.png").write_bytes(b"mine")
    assert isinstance(run("-o", "out.png", "--proof", "screen.icc").exception, OutputError)
    assert Path("out.proof.png").read_bytes() == b"mine"


def test_a_phone_s_photo(folder: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(read_picture("photo.png").to_pil()).save("photo.heic", quality=-1)
    result = CliRunner().invoke(command, ["stylize", "photo.heic", "painting.png", *QUICK, "-o", "out.jpg", "-q"])
    assert result.exit_code == 0, result.output
    assert read_picture("out.jpg").size == (24, 32)
