"""A substitute for the parts of torchvision that the peers need, since it is often not installed with PyTorch.

Written for impasto from torchvision's documentation. neural-style-pt uses a real torchvision if there is one.
"""
