"""`impasto recipe`: what recipes there are, what they say, and whether a file is one."""

from pathlib import Path

import click

from impasto import presets


@click.group()
def recipe() -> None:
    """List, show and check recipes."""


@recipe.command("list")
def list_() -> None:
    """List the recipes that come with impasto."""
    width = max(map(len, presets.NAMES))
    for name in presets.NAMES:
        click.echo(f"{name:<{width}}  {presets.get(name).description}")


@recipe.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the recipe NAME with the source of every number, ready to be edited."""
    click.echo(presets.text(name), nl=False)


@recipe.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check that FILE is a valid recipe."""
    found = presets.read(file)
    click.echo(f"{file}: valid, digest {found.digest[:12]}")
