"""`impasto recipe`: what recipes there are, what they say, whether a file is one, and other programs' weights."""

import json
from pathlib import Path

import click
import tomli_w

from impasto.cli.values import OptionValue
from impasto.errors import UsageError
from impasto.recipe import conventions, presets
from impasto.recipe.conventions import Conversion


@click.group()
def recipe() -> None:
    """List, show and check recipes, and convert the weights of other programs."""


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
    checked = presets.read(file)
    click.echo(f"{file}: valid, digest {checked.digest[:12]}")


@recipe.command()
@click.option("--from", "source", required=True, metavar="PROGRAM", help=", ".join(conventions.CONVENTIONS))
@click.option("--to", "target", metavar="PROGRAM", help="one of the same [default: all others]")
@click.option("--content-weight", type=float, metavar="X", help="alpha [default: the program's own]")
@click.option("--style-weight", type=float, metavar="X", help="beta [default: the program's own]")
@click.option("--tv-weight", type=float, metavar="X", help="of total variation [default: the program's own]")
@click.option("--size", default="512", metavar="N|WxH", help="long side, or width and height [default: 512]")
@click.option("--aspect", metavar="W:H", help="aspect ratio, if --size is a long side [default: 1:1]")
@click.option("--content-layer", metavar="LAYER", help="where content is compared [default: the program's own]")
@click.option("--style-layers", metavar="LAYER,...", help="where style is [default: relu1_1 to relu5_1]")
@click.option(
    "--feature-scale",
    type=float,
    default=1.0,
    metavar="X",
    help="how many times as large the features are in the program converted to [default: 1]",
)
@click.option("--toml", "as_toml", is_flag=True, help="Print the lines of a recipe file; converts to impasto.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def convert(source: str, target: str | None, as_toml: bool, as_json: bool, **options: OptionValue) -> None:
    """Say in other programs' weights what the weights of one program mean; see docs/conventions.md."""
    if as_toml and (as_json or target not in (None, "impasto")):
        raise UsageError("--toml prints a recipe of impasto; leave out --json and any other --to")
    targets = (
        [target or "impasto"] if as_toml or target else [name for name in conventions.CONVENTIONS if name != source]
    )
    conversions = _conversions(source, targets, **options)
    if as_json:
        click.echo(json.dumps([conventions.as_json(conversion) for conversion in conversions], indent=2))
    elif as_toml:
        click.echo(_recipe_lines(conversions[0]), nl=False)
    else:
        click.echo(
            _describe_weights(conversions[0], square="x" not in options["size"].lower() and not options["aspect"])
        )
        click.echo(f"\n{_align([conventions.COLUMNS, *map(conventions.row, conversions)])}\n")
        for remark in conventions.remarks(conversions):
            click.echo(f"- {remark}")


def _conversions(
    source: str,
    targets: list[str],
    *,
    size: str,
    aspect: str | None,
    style_layers: str | None,
    feature_scale: float,
    **weights: OptionValue,
) -> list[Conversion]:
    program, programs = conventions.named(source), [conventions.named(name) for name in targets]
    if style_layers is not None:
        weights["style_layers"] = [name.strip() for name in style_layers.split(",")]
    weights_given, pixels = conventions.weights_of(program, **weights), conventions.picture_size(size, aspect)
    return [
        conventions.convert(program, other, weights_given, pixels, feature_scale=feature_scale) for other in programs
    ]


def _describe_weights(conversion: Conversion, *, square: bool) -> str:
    weights, number = conversion.given, conventions.number
    parts = [f"content {number(weights.content_weight)} at {weights.content_layer}"]
    parts.append(f"style {number(weights.style_weight)} at {' '.join(name for name, _ in weights.style_layers)}")
    if weights.tv_form is not None:
        parts.append(f"total variation {number(weights.tv_weight)}")
    shape = ", taken for a square: see --aspect" if square else ""
    return f"{conversion.source.name}: {', '.join(parts)}; image {conversion.size}{shape}"


def _align(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _recipe_lines(conversion: Conversion) -> str:
    comments = [_describe_weights(conversion, square=False), *conventions.remarks([conversion])]
    lines = tomli_w.dumps(conversion.recipe_lines())
    return "".join(f"# {comment}\n" for comment in comments) + lines
