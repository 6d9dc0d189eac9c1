"""Name of what pystiche imports and never calls here."""

from typing import Any, NoReturn


def is_image_file(*_: Any, **__: Any) -> NoReturn:
    """Refuse: nothing that is measured reads folders."""
    raise NotImplementedError("is_image_file")
