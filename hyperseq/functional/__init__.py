"""Pure functions of tensors ``(batch, channels, *size)``; the rank is read off the input."""

from hyperseq.functional.convolution import direct_conv, fft_conv
from hyperseq.functional.coordinates import coordinate_grid
from hyperseq.functional.hyperzzw import causal_local_hyperzzw, global_hyperzzw, local_hyperzzw
from hyperseq.functional.interactions import hyper_channel_interaction, hyper_interaction
from hyperseq.functional.mixing import mix_channels
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.functional.pooling import adaptive_mean_pool, cumulative_mean, spatial_mean
from hyperseq.functional.standardization import batch_standardize, group_standardize, instance_standardize

__all__ = [
    "Padding",
    "adaptive_mean_pool",
    "as_padding",
    "batch_standardize",
    "causal_local_hyperzzw",
    "coordinate_grid",
    "cumulative_mean",
    "direct_conv",
    "fft_conv",
    "global_hyperzzw",
    "group_standardize",
    "hyper_channel_interaction",
    "hyper_interaction",
    "instance_standardize",
    "local_hyperzzw",
    "mask_padding",
    "mix_channels",
    "spatial_mean",
]
