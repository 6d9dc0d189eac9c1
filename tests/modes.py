"""A base class for objects that observe the operations of PyTorch."""

from collections.abc import Callable

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """PyTorch's dispatch mode, whose constructor has no types."""

    def __init__(self) -> None:
        initialize: Callable[[], None] = super().__init__
        initialize()
