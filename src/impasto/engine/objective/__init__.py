"""The objective of a run: its terms, fitted to a photo and its styles at one size."""

from impasto.engine.objective.objective import Evaluation, Objective

__all__ = ["Evaluation", "Objective"]
