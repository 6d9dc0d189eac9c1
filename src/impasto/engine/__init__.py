"""The optimisation: objective, optimisers, checkpoints, and the run that goes through the scales."""
