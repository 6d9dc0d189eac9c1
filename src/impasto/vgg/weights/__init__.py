"""The weights of networks: which there are, where they are stored, and checks that they are the right ones.

The public names are listed in `__init__.pyi` and imported when first asked for: the table of weights needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
