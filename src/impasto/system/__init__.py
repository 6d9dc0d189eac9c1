"""What the machine offers: atomic writes, locks, caches, and words for text and units. Nothing here imports torch."""
