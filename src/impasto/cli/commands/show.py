"""`impasto show`: what a picture remembers of its painting."""

import json

import click

from impasto.cli.options import output as output_options
from impasto.picture import remembered


@click.command()
@click.argument("picture")
@click.option("--json", "as_json", is_flag=True, help="Print the document as it is kept, as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error.")
def show(picture: str, as_json: bool, verbose: bool) -> None:
    """Print what PICTURE remembers: its recipe, ready to be used as a file, and the pictures it was made of.

    PICTURE, or - for standard input, is one that impasto painted: 'impasto stylize --like PICTURE' paints another so.
    Whoever had the file in hand may have changed what it says.
    """
    del verbose  # the command itself looks for it
    provenance = remembered(output_options.open_source(picture))
    # The document is ASCII with every control character escaped, as JSON wants it.
    click.echo(json.dumps(json.loads(provenance.to_json()), indent=2) if as_json else provenance.to_toml(), nl=as_json)
