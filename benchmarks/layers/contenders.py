"""The contenders: our mixer in both forms, and the peers, all as layers of the same residual stack."""

from collections.abc import Callable

from torch import nn

from benchmarks.layers import peers
from benchmarks.layers.problems import Problem
from hyperseq import SequenceMixer

Layer = Callable[[int], nn.Module]


def contenders(problem: Problem) -> dict[str, Layer]:
    """Return the layers by name, each built for the length and the causality of the problem."""
    causal, length = problem.causal, problem.length
    return {
        "SequenceMixer, context in values": lambda d: SequenceMixer(d, l_max=length, causal=causal),
        "SequenceMixer, context in kernel": lambda d: SequenceMixer(
            d, l_max=length, causal=causal, context_in="kernel"
        ),
        "gated long convolution": lambda d: peers.GatedLongConvolution(d, causal=causal, length=length),
        "GRU": lambda d: peers.GRU(d, causal=causal),
        "attention": lambda d: peers.Attention(d, causal=causal),
    }
