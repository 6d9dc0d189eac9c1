"""The small commands and `import impasto`, and the modules that they import."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from impasto.cli import command
from impasto.engine import cards, devices, trial
from impasto.recipe import Precision, Recipe, presets


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, result.output


def test_recipe_list_names_every_preset() -> None:
    code, output = run("recipe", "list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == list(presets.NAMES)


@pytest.mark.parametrize("name", presets.NAMES)
def test_recipe_show_prints_what_recipe_check_accepts(name: str, tmp_path: Path) -> None:
    code, output = run("recipe", "show", name)
    assert code == 0
    file = tmp_path / "mine.toml"
    file.write_text(output)
    assert Recipe.from_toml(output) == presets.get(name)
    code, output = run("recipe", "check", str(file))
    assert code == 0
    assert presets.get(name).digest[:12] in output


def test_doctor_finds_nothing_wrong() -> None:
    code, output = run("doctor")
    assert code == 0
    for part in ("impasto", "torch", "device", "threads", "as expected", "avif yes", "GiB free"):
        assert part in output
    assert re.search(r"^painting on cpu in float32: loss 0\.\d+ in \d+\.\d s$", output, re.MULTILINE)
    assert re.search(r"^memory: cpu \d+\.\d GiB free$", output, re.MULTILINE)


def test_doctor_names_the_device_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for two GPUs, of which the second fails."""
    painted = iter([False, False, True])
    paint = trial.paint

    def fail_third(device: torch.device, precision: Precision) -> trial.Trial:
        done = paint(device, precision, 1)
        return dataclasses.replace(done, error="AcceleratorError: no kernel image") if next(painted) else done

    monkeypatch.setattr(devices, "list_gpus", lambda: (torch.device("cpu"), torch.device("cpu")))
    monkeypatch.setattr(trial, "paint", fail_third)
    code, output = run("doctor")
    assert code == 1
    lines = [line for line in output.splitlines() if line.startswith("painting on cpu")]
    assert ["no kernel image" in line for line in lines] == [False, False, True]


def test_doctor_names_a_card_without_kernels_and_a_driver_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    card = torch.device("cuda", 0)
    monkeypatch.setattr(devices, "list_gpus", lambda: (card,))
    monkeypatch.setattr(devices, "choose", lambda name: devices.Choice((torch.device("cpu"),)))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GeForce GTX 1080")
    monkeypatch.setattr(cards, "find_missing_kernels", lambda device: "kernels for sm_75 only; do this")
    monkeypatch.setattr(cards, "find_driver_problem", lambda: "the driver is too old; do that")
    code, output = run("doctor")
    assert code == 1
    assert "cuda:0 GeForce GTX 1080" in output
    assert "cuda:0: PROBLEM: kernels for sm_75 only; do this" in output
    assert "cuda: PROBLEM: the driver is too old; do that" in output
    assert "painting on cuda" not in output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    code, output = run("completion", shell)
    assert code == 0
    assert "_IMPASTO_COMPLETE" in output


@pytest.mark.parametrize("arguments", [[], ["recipe"]])
def test_nothing_asked_shows_the_help(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "impasto", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: impasto")
    assert len(done.stderr.splitlines()) > 5


def test_a_bug_is_one_line_and_with_v_a_traceback() -> None:
    code = """
import sys
from impasto import cli
from impasto.cli.commands import recipe
def broken(name): raise ZeroDivisionError("two\\nlines")
recipe.presets.text = broken
cli.main()
"""
    for arguments, traceback in ((["recipe", "show", "default"], False), (["recipe", "show", "--", "-v"], True)):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "impasto: unexpected ZeroDivisionError: two lines; please report" in done.stderr.splitlines()[-1]
        assert ("Traceback" in done.stderr) == traceback


def test_every_recipe_field_is_an_option_with_the_help_of_its_field() -> None:
    from impasto.cli.options.recipe import recipe_fields
    from impasto.recipe.settings import setting_of

    _, output = run("stylize", "--help")
    flat = " ".join(output.split())
    for field in recipe_fields():
        assert f"--{field.name.replace('_', '-')}" in flat
        # Help texts are wrapped at hyphens, too.
        assert setting_of(field).help.replace(" ", "") in flat.replace(" ", "")


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_impasto_imports_nothing_heavy() -> None:
    assert not modules_after("import impasto") & {"torch", "numpy", "PIL", "click", "rich"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["stylize", "--help"],
        ["serve", "--help"],
        ["sweep", "--help"],
        ["recipe", "show", "default"],
    ],
)
def test_help_does_not_import_torch(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ['impasto', *{arguments!r}]
from impasto.cli import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
"""
    assert "torch" not in modules_after(code)


def test_the_public_names_are_there() -> None:
    import impasto

    for name in vars(impasto)["__all__"]:
        assert getattr(impasto, name) is not None
    assert impasto.recipe.presets.DEFAULT is presets.get("default")
    with pytest.raises(AttributeError):
        getattr(impasto, "nothing")  # noqa: B009
