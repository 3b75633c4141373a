"""Whole networks: tensor in, features out. Heads belong to the tasks."""

from hyperseq.backbones.presets import TerminatorCIFAR
from hyperseq.backbones.residual_stack import ResidualStack
from hyperseq.backbones.terminator import Terminator

__all__ = ["ResidualStack", "Terminator", "TerminatorCIFAR"]
