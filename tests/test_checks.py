"""Every public function and layer refuses what is not floating, and odd arguments, in one message of one grammar."""

import numpy as np
import pytest
import torch
from torch import nn

from hyperseq import Terminator
from hyperseq import functional as F
from hyperseq.backbones import ResidualStack
from hyperseq.losses import slow_neural_loss
from hyperseq.nn import ChannelMixing, GroupStandardization, SFNEBlock
from tests.nn.layers import LAYERS, WITH_INPUTS

X, K, C = torch.ones(2, 4, 6), torch.ones(1, 4, 6), torch.ones(4)

# every tensor of every public function that must be floating
CALLS = {
    "fft_conv": (lambda a: F.fft_conv(**a, mode="circular"), {"signal": X, "kernel": K}),
    "direct_conv": (lambda a: F.direct_conv(**a, mode="same"), {"signal": X, "kernel": K}),
    "global_hyperzzw": (lambda a: F.global_hyperzzw(**a), {"context": X, "hyper_kernel": K, "values": X}),
    "local_hyperzzw": (lambda a: F.local_hyperzzw(**a), {"values": X, "kernel": K}),
    "mix_channels": (lambda a: F.mix_channels(**a), {"x": X, "weight": torch.ones(3, 4), "bias": torch.ones(3)}),
    "spatial_mean": (lambda a: F.spatial_mean(**a), {"x": X}),
    "adaptive_mean_pool": (lambda a: F.adaptive_mean_pool(**a, output_size=2), {"x": X}),
    "instance_standardize": (lambda a: F.instance_standardize(**a), {"x": X}),
    "batch_standardize": (lambda a: F.batch_standardize(**a), {"x": X, "mean": C, "var": C}),
    "group_standardize": (lambda a: F.group_standardize(**a), {"x": X, "mean": C[:2], "var": C[:2]}),
    "hyper_channel_interaction": (
        lambda a: F.hyper_channel_interaction(**a),
        {"x": X, "hyper_kernel": C, "values": X},
    ),
    "hyper_interaction": (
        lambda a: F.hyper_interaction(**a),
        {"x": X, "high_level": X, "channel_kernel": C, "spatial_kernel": K[:, :1]},
    ),
    "slow_neural_loss": (lambda a: slow_neural_loss(list(a.values())), {"hyper_kernels": K}),
}
ARGUMENTS = [(function, name) for function, (_, arguments) in CALLS.items() for name in arguments]
OTHERS = {
    "int64": (lambda x: x.long(), "got torch.int64"),
    "bool": (lambda x: x.bool(), "got torch.bool"),
    "complex": (lambda x: x.to(torch.complex64), "got torch.complex64"),
    "list": (lambda x: x.tolist(), "got list"),
    "array": (lambda x: x.numpy(), "got ndarray"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize(("function", "name"), ARGUMENTS)
def test_functions_refuse_what_is_not_floating(function, name, kind):
    call, arguments = CALLS[function]
    call(arguments)
    convert, found = OTHERS[kind]
    if kind in ("list", "array") and name in ("x", "values") and function in ("mix_channels", "global_hyperzzw"):
        pytest.skip("several tensors are allowed here")
    with pytest.raises(ValueError, match=f"^{name} must be .*, {found}$"):
        call({**arguments, name: convert(arguments[name])})


@pytest.mark.parametrize("kind", ["int64", "list"])
@pytest.mark.parametrize("name", WITH_INPUTS)
def test_layers_refuse_what_is_not_floating(name, kind):
    layer = LAYERS[name]
    convert, found = OTHERS[kind]
    if name.startswith("ChannelMixing") and kind == "list":
        pytest.skip("several tensors are allowed here")
    with pytest.raises(ValueError, match=f"^(x|context|values) must be .*, {found}$"):
        layer.make(dtype=torch.float32)(*[convert(x.detach()) for x in layer.inputs(dtype=torch.float32)])


class Index:
    """An integer as numpy and others write one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint16, Index], ids=lambda kind: kind.__name__)
def test_integers_of_all_kinds_are_taken_as_counts(kind):
    block = SFNEBlock(kind(1), kind(2), kind(4), size=kind(6), num_groups=kind(2), slow_num_layers=kind(1))
    assert block.out_channels == 4 and type(block.out_channels) is int
    assert block(torch.zeros(2, 2, 6)).shape == (2, 4, 6)
    assert F.coordinate_grid(kind(3)).shape == (1, 3)
    assert F.group_standardize(X, num_groups=kind(2)).shape == X.shape


ODD = {
    "stem-no-module": (lambda: Terminator(1, 1, size=6, channels=[2, 4], stem=lambda x: x), "stem must be None or a"),
    "stem-class": (lambda: ResidualStack(1, layer=nn.Identity, depth=1, d_model=2, stem=nn.Identity), "stem must be"),
    "channels-a-number": (lambda: Terminator(1, 1, size=6, channels=4), "channels must hold the stem's .*, got 4"),
    "weight-rank": (lambda: F.mix_channels(X, torch.ones(4)), r"weight must be \(C_out, C_in\), got shape \(4,\)"),
    "bias-shape": (
        lambda: F.mix_channels(X, torch.ones(3, 4), torch.ones(4)),
        r"bias must have shape \(3,\), one entry per output channel, got \(4,\)",
    ),
    "groups-float": (lambda: GroupStandardization(4, num_groups=2.0), "num_groups must be an integer .*, got 2.0"),
    "groups-float-function": (lambda: F.group_standardize(X, num_groups=2.0), "num_groups must be an integer"),
    "eps-instance": (lambda: F.instance_standardize(X, eps=0.0), "eps must be a finite number above 0, got 0.0"),
    "eps-batch": (lambda: F.batch_standardize(X, eps=-1.0), "eps must be a finite number above 0, got -1.0"),
    "eps-group": (lambda: F.group_standardize(X, eps=float("nan")), "eps must be a finite number above 0, got nan"),
    "start-count": (lambda: F.coordinate_grid(3, start=[0.0, 1.0]), r"start must be .* \(1\), got \[0.0, 1.0\]"),
    "start-nan": (lambda: F.coordinate_grid(3, start=float("nan")), "start must be one finite number.*, got nan"),
    "start-text": (lambda: F.coordinate_grid(3, start="0"), "start must be one finite number.*, got '0'"),
    "grid-of-integers": (lambda: F.coordinate_grid(3, dtype=torch.int64), "dtype must be a floating-point type, got"),
    "out-channels-bool": (lambda: ChannelMixing(2, True), "out_channels must be an integer of at least 1, got True"),
    "values-batch": (lambda: F.global_hyperzzw(X, K, X[:1]), "values must have the batch 2 of context, got 1"),
    "channel-values-batch": (
        lambda: F.hyper_channel_interaction(X, C, values=X[:1]),
        "values must have the batch 2 of x, got 1",
    ),
    "high-level-batch": (
        lambda: F.hyper_interaction(X, X[:1], channel_kernel=C, spatial_kernel=K[:, :1]),
        "high_level must have the batch 2 of x, got 1",
    ),
    "matmul-on-an-oblong-image": (
        lambda: SFNEBlock(2, 2, 4, size=6, mode="matmul")(torch.zeros(1, 2, 6, 5)),
        r"mode must not be 'matmul' unless the size is square with two axes, got size \(6, 5\)",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_arguments_are_named_with_rule_and_value(case):
    call, message = ODD[case]
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
