"""Whole networks: tensor in, features out; heads live with the tasks."""

from hyperseq.backbones.presets import terminator_cifar
from hyperseq.backbones.terminator import Terminator

__all__ = ["Terminator", "terminator_cifar"]
