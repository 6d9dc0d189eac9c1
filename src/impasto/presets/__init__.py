"""Named recipes. Each is a TOML file beside this one, with the source of every number on the line above it.

presets.DEFAULT, presets.get("default")   the recipe
presets.text("default")                   the file, to read or to start one's own from
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from impasto.errors import RecipeError, nearest
from impasto.recipe import Recipe

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
    """Return the preset's file as it stands, comments included.

    Raises:
        RecipeError: there is no preset of that name.

    """
    if name not in NAMES:
        raise RecipeError(f"there is no recipe {name!r}; {nearest(name, NAMES)}, or give the path of a .toml file")
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
        return Recipe.from_toml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a text file") from error
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def resolve(recipe: Recipe | str | Path) -> Recipe:
    """Return a recipe given as itself, as a preset's name or as the path of a `.toml` file.

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
