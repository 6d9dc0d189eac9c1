from .fetching import Fetched, Listener, Patience, fetch, offline
from .importing import Imported, import_file
from .reading import Weights, load, verify
from .spec import EMBEDDED, SPECS, Convention, Embedded, Official, WeightsSpec, find
from .store import Entry, entry, folder

__all__ = [
    "EMBEDDED",
    "SPECS",
    "Convention",
    "Embedded",
    "Entry",
    "Fetched",
    "Imported",
    "Listener",
    "Official",
    "Patience",
    "Weights",
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
