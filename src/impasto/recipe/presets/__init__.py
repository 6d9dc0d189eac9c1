"""Named recipes. Each is a TOML file beside this one, with the source of every number on the line above it.

presets.DEFAULT, presets.get("default")   the recipe
presets.text("default")                   the file, to read or to start one's own from
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from impasto.errors import RecipeError, suggest
from impasto.recipe.recipe import Recipe
from impasto.system.text import decode, printable, reason

# Ours: a recipe takes 2 kB.
_MOST_BYTES: Final = 1_000_000

NAMES: Final = (
    "default",
    "draft",
    "fine",
    "patches",
    "photoreal",
    "gatys-2016",
    "gatys-2016-normalised",
    "gatys-2016-code",
    "keras",
    "neural-style",
    "crowsonkb",
    "texture",
    "reconstruction",
)


def text(name: str) -> str:
    """Return the text of the preset's file, comments included.

    Raises:
        RecipeError: there is no preset of that name.

    """
    if name not in NAMES:
        raise RecipeError(f"there is no recipe {name!r}; {suggest(name, NAMES)}, or give the path of a .toml file")
    return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


@cache
def get(name: str) -> Recipe:
    """Return the preset called `name`.

    Raises:
        RecipeError: there is no preset of that name.

    """
    return Recipe.from_toml(text(name))


def read(path: str | Path) -> Recipe:
    """Return the recipe in a TOML file.

    Raises:
        RecipeError: the file cannot be read, or holds no valid recipe; the message names the file.

    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise RecipeError(f"has more than {_MOST_BYTES:,} bytes, so it is no recipe")
        return Recipe.from_toml(decode(content).replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{printable(path)}: not a text file") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{printable(path)}: cannot be read ({reason(error)})") from error
    except RecipeError as error:
        raise RecipeError(f"{printable(path)}: {error}") from error


def resolve(recipe: Recipe | str | Path) -> Recipe:
    """Return a recipe given as itself, as the name of a preset or as the path of a `.toml` file.

    >>> resolve("draft").name
    'draft'

    Raises:
        RecipeError: no such preset, or the file is not a valid recipe.

    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Path) or str(recipe).endswith(".toml"):
        return read(recipe)
    return get(recipe)


def __getattr__(name: str) -> Recipe:
    preset = name.lower().replace("_", "-")
    if name.isupper() and preset in NAMES:
        return get(preset)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
