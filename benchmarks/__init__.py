"""Measurements: what a picture costs and how good it is. Run `scripts/bench`."""
