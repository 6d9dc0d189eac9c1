"""Arithmetic on tensors: statistics of features, tiles, masks, resampling and colour."""
