"""A name that pystiche imports and does not call in the benchmark."""

from typing import Any, NoReturn


def is_image_file(*_: Any, **__: Any) -> NoReturn:
    """Refuse: the benchmark reads no folders."""
    raise NotImplementedError("is_image_file")
