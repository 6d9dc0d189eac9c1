"""Tests for a new kind of GPU: does impasto work there, is its result right, does it leak memory, how fast is it."""
