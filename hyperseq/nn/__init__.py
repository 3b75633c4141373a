"""Modules: parameters and state around the functions of `hyperseq.functional`."""

from hyperseq.nn._precision import AtLeastFloat32
from hyperseq.nn.channel_mixing import ChannelMixing
from hyperseq.nn.hyperzzw import GlobalHyperZZW, LocalHyperZZW
from hyperseq.nn.interactions import HyperChannelInteraction, HyperInteraction
from hyperseq.nn.recursive_gated_unit import RecursiveGatedUnit
from hyperseq.nn.sequence_block import SequenceBlock
from hyperseq.nn.sequence_mixer import SequenceMixer
from hyperseq.nn.sfne_block import SFNEBlock
from hyperseq.nn.slow_network import SlowNetwork
from hyperseq.nn.standardization import BatchStandardization, GroupStandardization, InstanceStandardization
from hyperseq.nn.statistics import synchronize_statistics, update_statistics
from hyperseq.nn.token_embedding import TokenEmbedding

__all__ = [
    "AtLeastFloat32",
    "BatchStandardization",
    "ChannelMixing",
    "GlobalHyperZZW",
    "GroupStandardization",
    "HyperChannelInteraction",
    "HyperInteraction",
    "InstanceStandardization",
    "LocalHyperZZW",
    "RecursiveGatedUnit",
    "SFNEBlock",
    "SequenceBlock",
    "SequenceMixer",
    "SlowNetwork",
    "TokenEmbedding",
    "synchronize_statistics",
    "update_statistics",
]
