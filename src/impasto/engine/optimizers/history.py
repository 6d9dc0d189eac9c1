"""What L-BFGS remembers, and the inverse Hessian it stands for."""

from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]


class CurvaturePairs:
    """The last pairs of steps s and changes of the gradient y, scaled to unit curvature, s . y = 1.

    Byrd, Nocedal and Schnabel 1994, equation 3.1: the inverse Hessian is

        H = g I + [S  g Y] [ R^-T (D + g Y^T Y) R^-1   -R^-T ] [ S^T   ]
                           [ -R^-1                       0   ] [ g Y^T ]

    with s and y as columns from the oldest, R the upper triangle of S^T Y, D its diagonal, and g = 1 / (y . y) of the
    last pair. It is the matrix of the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4), applied with four
    products with all pairs at once instead of a loop over them.

    Nothing here waits for the device, and everything is kept where it was: a step can be captured in a CUDA graph.

    Args:
        capacity: how many pairs.
        like: (n,) whose size, type and device theirs are.

    """

    def __init__(self, capacity: int, like: Tensor) -> None:
        # Small systems in float64: triangular ones of float32 lose digits that the step needs. Metal has no float64.
        wide = torch.float32 if like.device.type == "mps" else torch.float64
        self._steps = like.new_zeros(capacity, like.numel())  # rows without a pair are zero
        self._changes = torch.zeros_like(self._steps)
        self._products = like.new_zeros(capacity, capacity, dtype=wide)  # s_i . y_j
        self._squares = torch.zeros_like(self._products)  # y_i . y_j
        self._count = like.new_zeros((), dtype=torch.long)
        self._row = torch.zeros_like(self._count)  # where the next pair goes: the oldest, once all rows are taken
        self._ages = torch.arange(capacity, device=like.device)

    def clear(self) -> None:
        """Forget all pairs."""
        for tensor in self.state().values():
            tensor.zero_()

    @property
    def empty(self) -> Tensor:
        """Whether there is no pair, as a truth value on the device."""
        empty: Tensor = self._count == 0
        return empty

    def add(self, step: Tensor, change: Tensor, accepted: Tensor | bool = True) -> Tensor:
        """Remember a pair, (n,) each, instead of the oldest if there is no room; return whether it was worth it.

        It is forgotten at once where it is not `accepted`. What is given is overwritten.
        """
        curvature = step @ change
        # Negative or vanishing curvature would turn the next step uphill: Nocedal and Wright 2006, section 7.2.
        worth: Tensor = (curvature > _MIN_CURVATURE * step.norm() * change.norm()) & accepted
        unit = torch.where(worth, curvature, 1).rsqrt()
        row = self._row[None]
        for rows, new in ((self._steps, step), (self._changes, change)):
            rows.index_copy_(0, row, torch.where(worth, new.mul_(unit), rows.index_select(0, row)[0], out=new)[None])
        newest = self._changes.index_select(0, row)[0]
        wide = self._products.dtype
        products, squares = (self._steps @ newest).to(wide), (self._changes @ newest).to(wide)
        # Of the new step with the changes before it there is no need: only the triangle counts.
        self._products.index_copy_(1, row, products[:, None])
        self._squares.index_copy_(1, row, squares[:, None])
        self._squares.index_copy_(0, row, squares[None])
        capacity = len(self._ages)
        self._row.copy_((self._row + worth) % capacity)
        self._count.copy_((self._count + worth).clamp(max=capacity))
        return worth

    def inverse_hessian(self, slope: Tensor) -> Tensor:
        """Return H times `slope`, (n,), which is overwritten; the slope itself where nothing has been learnt."""
        wide = self._products.dtype
        # From the oldest; rows without a pair come first and take no part: their products are 0.
        order = (self._row + self._ages) % len(self._ages)
        unused = self._ages < len(self._ages) - self._count
        squares = self._squares[order][:, order]
        triangle = self._products[order][:, order].triu() + torch.diag(unused.to(wide))
        gamma = torch.where(self.empty, 1, squares[-1, -1]).reciprocal()
        first = torch.linalg.solve_triangular(triangle, (self._steps @ slope).to(wide)[order, None], upper=True)
        right = first * triangle.diagonal()[:, None] + gamma * (squares @ first)
        right -= gamma * (self._changes @ slope).to(wide)[order, None]
        second = torch.linalg.solve_triangular(triangle.mT, right, upper=False)
        shares = (
            torch.zeros_like(first).index_copy(0, order, second),
            torch.zeros_like(first).index_copy(0, order, first),
        )
        step_shares, change_shares = (share[:, 0].to(slope.dtype) for share in shares)
        gamma = gamma.to(slope.dtype)
        result = slope.mul_(gamma)
        result.addmv_(self._steps.mT, step_shares)
        result.addmv_(self._changes.mT, -gamma * change_shares)
        return result

    def state(self) -> State:
        """Return the pairs and their products, row by row as they lie."""
        return {
            "row": self._row,
            "count": self._count,
            "steps": self._steps,
            "changes": self._changes,
            "products": self._products,
            "squares": self._squares,
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned of a memory of the same size."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


# Ours: pairs of less curvature carry more rounding than knowledge.
_MIN_CURVATURE = 1e-6
