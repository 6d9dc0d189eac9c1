"""Computations on tensors: statistics of features, tiles, guidance masks, resampling and colours."""
