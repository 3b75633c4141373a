"""HyperZ·Z·W operators and Terminator networks for long sequences (and images) in PyTorch."""

from hyperseq import adapters, allocator, functional, losses, nn, optim
from hyperseq.backbones import Terminator
from hyperseq.nn import SequenceMixer

__version__ = "0.1.0"

__all__ = ["SequenceMixer", "Terminator", "adapters", "allocator", "functional", "losses", "nn", "optim"]
