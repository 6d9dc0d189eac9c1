"""The curvature pairs that L-BFGS keeps, and the inverse Hessian that they define."""

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.ops.numerics import has_float64

State = dict[str, Tensor]


class CurvaturePairs:
    """The last pairs of steps s and gradient changes y, scaled so that s . y = 1.

    Byrd, Nocedal and Schnabel 1994, equation 3.1: the inverse Hessian is

        H = g I + [S  g Y] [ R^-T (D + g Y^T Y) R^-1   -R^-T ] [ S^T   ]
                           [ -R^-1                       0   ] [ g Y^T ]

    with s and y as columns from the oldest, R the upper triangle of S^T Y, D its diagonal, and g = 1 / (y . y) of the
    last pair. It equals the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4), with four products of all
    pairs at once instead of a loop over them.

    Nothing here waits for the device, and every tensor keeps its address, so that a CUDA graph can capture a step.

    Args:
        capacity: largest number of pairs.
        like: (n,) a tensor of the size, dtype and device of a step.

    """

    def __init__(self, capacity: int, like: Tensor) -> None:
        # The small systems are solved in float64 where the device has it: in float32 triangular ones lose digits that
        # matter.
        wide = torch.float64 if has_float64(like.device) else torch.float32
        self._steps = like.new_zeros(capacity, like.numel())  # rows without a pair are zero
        self._changes = torch.zeros_like(self._steps)
        self._products = like.new_zeros(capacity, capacity, dtype=wide)  # s_i . y_j
        self._squares = torch.zeros_like(self._products)  # y_i . y_j
        self._count = like.new_zeros((), dtype=torch.long)
        self._row = torch.zeros_like(self._count)  # of the next pair: that of the oldest once all rows are in use
        self._ages = torch.arange(capacity, device=like.device)

    def clear(self) -> None:
        """Forget all pairs."""
        for tensor in self.state().values():
            tensor.zero_()

    @property
    def empty(self) -> Tensor:
        """Whether there is no pair, as a boolean tensor on the device."""
        empty: Tensor = self._count == 0
        return empty

    def add(self, step: Tensor, change: Tensor, accepted: Tensor | bool = True) -> Tensor:
        """Add a pair, (n,) each, in place of the oldest if there is no room; both are overwritten.

        Returns:
            Whether it was added: its curvature is large enough, and it was `accepted`.

        """
        curvature = step @ change
        # A pair of negative or vanishing curvature would turn the next step uphill: Nocedal and Wright 2006, section
        # 7.2.
        worth: Tensor = (curvature > _MIN_CURVATURE * step.norm() * change.norm()) & accepted
        unit = torch.where(worth, curvature, 1).rsqrt()
        row = self._row[None]
        for rows, new in ((self._steps, step), (self._changes, change)):
            rows.index_copy_(0, row, torch.where(worth, new.mul_(unit), rows.index_select(0, row)[0], out=new)[None])
        newest = self._changes.index_select(0, row)[0]
        wide = self._products.dtype
        products, squares = (self._steps @ newest).to(wide), (self._changes @ newest).to(wide)
        # Products of the new step with older changes lie below the diagonal, which is not used.
        self._products.index_copy_(1, row, products[:, None])
        self._squares.index_copy_(1, row, squares[:, None])
        self._squares.index_copy_(0, row, squares[None])
        capacity = len(self._ages)
        self._row.copy_((self._row + worth) % capacity)
        self._count.copy_((self._count + worth).clamp(max=capacity))
        return worth

    def inverse_hessian(self, slope: Tensor) -> Tensor:
        """Return H times `slope`, (n,), which is overwritten; `slope` itself if there is no pair."""
        wide = self._products.dtype
        # From the oldest. Rows without a pair come first; their products are 0, so they contribute nothing.
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
        """Return the pairs and their products, in the order of their rows."""
        return {
            "row": self._row,
            "count": self._count,
            "steps": self._steps,
            "changes": self._changes,
            "products": self._products,
            "squares": self._squares,
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned of a history of the same capacity."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


# Ours: pairs of less curvature are mostly rounding errors.
_MIN_CURVATURE = 1e-6
