"""Names of what pystiche imports and never calls here."""

from typing import Any, NoReturn

model_urls: dict[str, str] = {"alexnet": ""}


def alexnet(*_: Any, **__: Any) -> NoReturn:
    """Refuse: VGG-16 is what is measured."""
    raise NotImplementedError("alexnet")
