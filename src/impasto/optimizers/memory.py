"""What L-BFGS remembers, and the inverse Hessian it stands for."""

from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]


class Memory:
    """The last pairs of steps s and changes of the gradient y, scaled to unit curvature, s . y = 1.

    Byrd, Nocedal and Schnabel 1994, equation 3.1: the inverse Hessian is

        H = g I + [S  g Y] [ R^-T (D + g Y^T Y) R^-1   -R^-T ] [ S^T   ]
                           [ -R^-1                       0   ] [ g Y^T ]

    with s and y as columns from the oldest, R the upper triangle of S^T Y, D its diagonal, and g = 1 / (y . y) of the
    last pair. It is the matrix of the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4), applied with four
    products with all pairs at once instead of a loop over them.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Forget all pairs."""
        self._order: list[int] = []  # rows of the pairs, from the oldest
        self._steps: Tensor | None = None  # (capacity, n), rows in use as `_order` says
        self._changes: Tensor | None = None
        # In float64 on the CPU: they are small, and triangular systems of float32 lose digits that the step needs.
        self._products = torch.zeros(self._capacity, self._capacity, dtype=torch.float64)  # s_i . y_j, where i <= j
        self._squares = torch.zeros(self._capacity, self._capacity, dtype=torch.float64)  # y_i . y_j

    def __len__(self) -> int:
        return len(self._order)

    def learn(self, step: Tensor, change: Tensor) -> bool:
        """Remember a pair, (n,) each, instead of the oldest if there is no room; return whether it was worth it."""
        curvature = step @ change
        # Negative or vanishing curvature would turn the next step uphill: Nocedal and Wright 2006, section 7.2.
        if not curvature > _MIN_CURVATURE * step.norm() * change.norm():
            return False
        if self._steps is None or self._changes is None:
            self._steps = step.new_empty(self._capacity, step.numel())
            self._changes = torch.empty_like(self._steps)
        full = len(self._order) == self._capacity
        row = self._order.pop(0) if full else len(self._order)
        self._order.append(row)
        unit = curvature.rsqrt()
        self._steps[row] = step * unit
        self._changes[row] = change * unit
        used = len(self._order)
        self._products[:used, row] = _small(self._steps[:used] @ self._changes[row])
        self._squares[:used, row] = self._squares[row, :used] = _small(self._changes[:used] @ self._changes[row])
        return True

    def inverse_hessian(self, slope: Tensor) -> Tensor:
        """Return H times `slope`, (n,); the slope itself where nothing has been learnt."""
        if self._steps is None or self._changes is None or not self._order:
            return slope.clone()
        used, order = len(self._order), torch.tensor(self._order)
        steps, changes = self._steps[:used], self._changes[:used]
        squares = self._squares[order][:, order]
        triangle = self._products[order][:, order].triu()
        gamma = 1 / squares[-1, -1]
        first = torch.linalg.solve_triangular(triangle, _small(steps @ slope)[order, None], upper=True)
        right = first * triangle.diagonal()[:, None] + gamma * (squares @ first)
        right -= gamma * _small(changes @ slope)[order, None]
        second = torch.linalg.solve_triangular(triangle.mT, right, upper=False)
        by_row = torch.zeros(2, used, dtype=torch.float64)
        by_row[:, order] = torch.stack([second[:, 0], -gamma * first[:, 0]])
        step_shares, change_shares = by_row.to(slope.dtype).to(slope.device)
        result: Tensor = gamma.item() * slope + steps.mT @ step_shares + changes.mT @ change_shares
        return result

    def state(self) -> State:
        """Return the pairs and their products, row by row as they lie."""
        if self._steps is None or self._changes is None:
            return {}
        used = len(self._order)
        return {
            "order": torch.tensor(self._order),
            "steps": self._steps[:used].clone(),
            "changes": self._changes[:used].clone(),
            "products": self._products[:used, :used].clone(),
            "squares": self._squares[:used, :used].clone(),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self.clear()
        if "order" not in state:
            return
        self._order = state["order"].tolist()
        used, size = state["steps"].shape
        self._steps = state["steps"].new_empty(self._capacity, size)
        self._changes = torch.empty_like(self._steps)
        self._steps[:used], self._changes[:used] = state["steps"], state["changes"]
        self._products[:used, :used], self._squares[:used, :used] = state["products"], state["squares"]


# Ours: pairs of less curvature carry more rounding than knowledge.
_MIN_CURVATURE = 1e-6


def _small(values: Tensor) -> Tensor:
    return values.double().cpu() if values.device.type != "mps" else values.cpu().double()
