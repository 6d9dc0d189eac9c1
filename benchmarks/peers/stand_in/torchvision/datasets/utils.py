"""A name that pystiche imports and does not call in the benchmark."""

from typing import Any, NoReturn


def check_md5(*_: Any, **__: Any) -> NoReturn:
    """Refuse: the benchmark downloads nothing."""
    raise NotImplementedError("check_md5")
