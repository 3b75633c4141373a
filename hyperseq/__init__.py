"""HyperZ·Z·W operators and Terminator networks for long sequences (and images) in PyTorch."""

from hyperseq import allocator, functional, losses, nn, optim
from hyperseq.backbones import Terminator
from hyperseq.nn import SequenceMixer

__version__ = "0.1.0"

__all__ = ["SequenceMixer", "Terminator", "allocator", "functional", "losses", "nn", "optim"]
