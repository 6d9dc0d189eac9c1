from .fetching import DownloadListener, Fetched, Patience, fetch, offline
from .importing import Imported, import_file
from .reading import LoadedWeights, load, verify
from .spec import EMBEDDED, SPECS, Embedded, Official, PixelConvention, WeightsSpec, find
from .store import CacheEntry, entry, folder

__all__ = [
    "EMBEDDED",
    "SPECS",
    "CacheEntry",
    "DownloadListener",
    "Embedded",
    "Fetched",
    "Imported",
    "LoadedWeights",
    "Official",
    "Patience",
    "PixelConvention",
    "WeightsSpec",
    "entry",
    "fetch",
    "find",
    "folder",
    "import_file",
    "load",
    "offline",
    "verify",
]
