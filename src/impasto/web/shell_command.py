"""The shell command that paints the same picture as an order, so that everything on the page can be scripted."""

from pathlib import PurePath
from typing import Any

from impasto.recipe import Recipe, Style
from impasto.system.text import command_line
from impasto.web.requests import Order
from impasto.web.storage import Storage


def command(order: Order, storage: Storage) -> str:
    """Return `impasto stylize ...`, or `sweep`, for an order, with the original names of its pictures."""

    def name(id: str) -> str:
        stored_name = storage.known(id).name
        # A name that begins with a dash would be taken for an option.
        return f"./{stored_name}" if stored_name.startswith("-") else stored_name

    words = [
        "impasto",
        "sweep" if order.vary else "stylize",
        name(order.content),
        *(name(style.picture) for style in order.styles),
    ]
    words += ["--recipe", "mine.toml" if order.base == "custom" else order.base]
    for key, values in order.vary:
        words += ["--vary", f"{key.replace('_', '-')}={','.join(map(_value, values))}"]
    varied = dict(order.vary)
    for key, value in (order.settings or {}).items():
        if key not in varied:
            words += _option(key, value)
    words += _styles(order.styles, name)
    for option, id in (("--init", order.init), ("--content-mask", order.content_mask), ("--protect", order.protect)):
        if id is not None:
            words += [option, name(id)]
    stems = [PurePath(name(id)).stem for id in (order.content, *(style.picture for style in order.styles))]
    return command_line([*words, "-o", "_".join([*stems, *(["sweep"] if order.vary else [])]) + ".png"])


def _styles(styles: tuple[Style[str], ...], name: Any) -> list[str]:
    words = []
    for option, plain, values in (
        ("--style-weights", 1.0, [style.weight for style in styles]),
        ("--style-scales", 1.0, [style.scale for style in styles]),
        ("--style-parts", "all", [style.part for style in styles]),
    ):
        if any(value != plain for value in values):
            words += [option, ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)]
    if any(style.mask for style in styles):
        for style in styles:
            words += ["--style-mask", "none" if style.mask is None else name(style.mask)]
    return words


def _value(value: Any) -> str:
    """Return a value in the form of `--vary`, in which lists within the list use colons."""
    return ":".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _option(key: str, value: Any) -> list[str]:
    """Return a setting as an option; as `--set` if it has none of its own."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if key in Recipe.__dataclass_fields__:
        return [f"--{key.replace('_', '-')}", text]
    return ["--set", f"{key}={text}"]
