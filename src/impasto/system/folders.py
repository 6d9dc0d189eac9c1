"""The folder for files that impasto can make or fetch again."""

import os
from pathlib import Path
from typing import Final

from impasto.errors import WeightsError
from impasto.system.text import printable

VARIABLE: Final = "IMPASTO_CACHE"


def cache_folder() -> Path:
    """Return the cache folder, which need not exist: `IMPASTO_CACHE`, or the system's.

    Raises:
        WeightsError: `IMPASTO_CACHE` is not an absolute path, or it is not set and there is no home folder.

    """
    value = os.environ.get(VARIABLE)
    if value:
        path = Path(os.path.expanduser(value))  # noqa: PTH111  # Path.expanduser fails without a home
        if not path.is_absolute():
            # A relative path would give another cache in every working directory.
            raise WeightsError(f"{VARIABLE}: {printable(value)} is not an absolute path; give it from the root")
        return path
    import platformdirs

    try:
        return platformdirs.user_cache_path("impasto", appauthor=False)
    except RuntimeError as error:
        # A user without a name or a home, as in containers.
        raise WeightsError(f"there is no home folder to keep files in; set {VARIABLE} to a folder") from error
