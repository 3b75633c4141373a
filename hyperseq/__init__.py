"""HyperZ·Z·W operators and Terminator networks for long sequences (and images) in PyTorch."""

from hyperseq import allocator, functional, losses, nn, optim
from hyperseq.backbones import Terminator

__version__ = "0.1.0"

__all__ = ["Terminator", "allocator", "functional", "losses", "nn", "optim"]
