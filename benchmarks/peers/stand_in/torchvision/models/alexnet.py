"""Names that pystiche imports and does not call in the benchmark."""

from typing import Any, NoReturn

model_urls: dict[str, str] = {"alexnet": ""}


def alexnet(*_: Any, **__: Any) -> NoReturn:
    """Refuse: the benchmark uses VGG-16."""
    raise NotImplementedError("alexnet")
