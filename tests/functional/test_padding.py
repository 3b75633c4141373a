"""Every function that takes lengths refuses wrong ones in the same words."""

import re

import numpy as np
import pytest
import torch

from hyperseq import functional
from tests import cases


def first(x):
    """One number for each channel."""
    return x[0].flatten(1)[:, 0]


FUNCTIONS = {
    "global_hyperzzw": lambda x, n: functional.global_hyperzzw(x, x[:1], x, lengths=n),
    "spatial_mean": lambda x, n: functional.spatial_mean(x, lengths=n),
    "adaptive_mean_pool": lambda x, n: functional.adaptive_mean_pool(x, 2, lengths=n),
    "instance_standardize": lambda x, n: functional.instance_standardize(x, lengths=n),
    "causal instance_standardize": lambda x, n: functional.instance_standardize(x, lengths=n, causal=True),
    "batch_standardize": lambda x, n: functional.batch_standardize(x, lengths=n),
    "batch_standardize with statistics": lambda x, n: functional.batch_standardize(
        x, mean=first(x), var=first(x), lengths=n
    ),
    "group_standardize": lambda x, n: functional.group_standardize(x, lengths=n),
    "hyper_channel_interaction": lambda x, n: functional.hyper_channel_interaction(x, first(x), lengths=n),
    "hyper_interaction": lambda x, n: functional.hyper_interaction(
        x, x, channel_kernel=first(x), spatial_kernel=x[:1, :1], lengths=n
    ),
}

over_functions = pytest.mark.parametrize("name", FUNCTIONS)


def ones(*shape):
    """Positive in every place: fit for a variance."""
    return torch.ones(shape)


@over_functions
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([5, 0, 3]), r"lengths must .*1.*5.*, got .*0.*"),
        (torch.tensor([5, -2, 3]), r"lengths must .*1.*5.*, got .*-2.*"),
        (torch.tensor([5, 6, 3]), r"lengths must .*1.*5.*, got .*6.*"),
        (torch.tensor([5, 4]), r"lengths must .*\(3,\).*, got .*\(2,\)"),
        (torch.tensor([[5], [4], [3]]), r"lengths must .*\(3,\).*, got .*\(3, 1\)"),
        (torch.tensor(4), r"lengths must .*\(3,\).*, got .*\(\)"),
        (torch.tensor([5.0, 4.0, 3.0]), "lengths must .*integers.*, got .*float32"),
        (torch.tensor([True, True, True]), "lengths must .*integers.*, got .*bool"),
        ([5, 4, 3], "lengths must be a tensor.*, got list"),
    ],
    ids=["zero", "negative", "beyond", "too-few", "two-axes", "scalar", "float", "bool", "list"],
)
def test_lengths_error_names_argument_rule_and_value(name, lengths, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        FUNCTIONS[name](ones(3, 2, 5), lengths)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "causal" not in name])  # causal is refused first
def test_lengths_need_one_spatial_axis(name):
    with pytest.raises(ValueError, match=r"^lengths must .*one spatial axis.*, got .*\(2, 2, 3, 3\)"):
        FUNCTIONS[name](ones(2, 2, 3, 3), torch.tensor([2, 3]))


@over_functions
def test_lengths_of_any_integer_width_are_taken(name):
    lengths = torch.tensor([5, 2, 3])
    x = cases.normal(3, 2, 5).detach().abs()
    assert torch.equal(FUNCTIONS[name](x, lengths.int()), FUNCTIONS[name](x, lengths))


@over_functions
def test_lengths_that_are_all_full_change_nothing(name):
    x = cases.normal(3, 2, 5).detach().abs()
    assert torch.equal(FUNCTIONS[name](x, torch.tensor([5, 5, 5])), FUNCTIONS[name](x, None))


def test_a_padding_of_another_batch_is_refused():
    padding = functional.as_padding(torch.tensor([3, 5]), torch.ones(2, 1, 5))
    message = re.escape("lengths must be a Padding of 2 samples of 4 positions, got one of 2 samples of 5")
    with pytest.raises(ValueError, match=message):
        functional.as_padding(padding, torch.ones(2, 1, 4))


@pytest.mark.parametrize("x", [[1.0], None, np.ones((2, 1, 5))])
def test_what_is_no_tensor_is_refused_by_its_type(x):
    with pytest.raises(ValueError, match=f"x must be a torch.Tensor, got {type(x).__name__}"):
        functional.as_padding(torch.tensor([3, 5]), x)
