"""Files and words of the machine: atomic writes, locks, caches, text and units. Nothing here imports torch."""
