"""Names that pystiche imports and does not call in the benchmark."""
