"""What peers need of torchvision, where there is none: PyTorch's CPU build is often installed without it.

Ours, written after torchvision's documentation; a real torchvision is preferred.
"""
