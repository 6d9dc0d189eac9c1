"""The figures of papers, painted again with `impasto` from any pictures: see docs/reproductions.md."""
