"""The reference is checked against torch and against numbers worked out by hand."""

import pytest
import torch
from torch.nn import functional as F

from tests import cases, reference


def test_positions_run_in_the_order_of_memory():
    assert reference.positions((2, 3)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert torch.equal(
        reference.tabulate(lambda p: torch.tensor([3 * p[0] + p[1]]), (2, 3))[0].flatten(), torch.arange(6)
    )


def test_samples_are_cut_and_batches_are_filled_with_zeros():
    batch = torch.arange(1.0, 9.0).reshape(2, 1, 4)
    samples = reference.samples_of(batch, [4, 2])
    assert samples[1].tolist() == [[5.0, 6.0]]
    assert reference.batch_of(samples, (4,)).tolist() == [[[1, 2, 3, 4]], [[5, 6, 0, 0]]]


def test_convolutions_by_hand():
    signal, kernel = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 10.0, 100.0]])
    assert reference.convolve(signal, kernel, "circular").tolist() == [[231.0, 312.0, 123.0]]
    assert reference.convolve(signal, kernel, "causal").tolist() == [[1.0, 12.0, 123.0]]
    assert reference.convolve(signal, kernel, "same").tolist() == [[12.0, 123.0, 230.0]]
    assert reference.local_hyperzzw(signal, kernel).tolist() == [[210.0, 321.0, 32.0]]


@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 1)])
def test_local_equals_the_depthwise_convolution_of_torch(kernel_size):
    value, kernel = cases.normal(2, 4, 5), cases.normal(2, *kernel_size, seed=1)
    truth = F.conv2d(value[None], kernel[:, None], padding=[k // 2 for k in kernel_size], groups=2)[0]
    cases.assert_close(reference.local_hyperzzw(value, kernel), truth)


def test_matmul_equals_that_of_torch():
    context, kernel, value = (cases.normal(2, 3, 3, seed=seed) for seed in range(3))
    cases.assert_close(reference.global_hyperzzw(context, kernel, value, "matmul"), (context * kernel) @ value)


@pytest.mark.parametrize("bins", [(2, 3), (5, 1), (4, 7)])
def test_adaptive_pool_equals_that_of_torch(bins):
    x = cases.normal(2, 4, 5)
    cases.assert_close(reference.adaptive_mean_pool(x, bins), F.adaptive_avg_pool2d(x[None], bins)[0])


def test_standardisations_equal_those_of_torch():
    x = cases.normal(3, 4, 5)
    instance = torch.stack([reference.instance_standardize(sample) for sample in x])
    cases.assert_close(instance, F.instance_norm(x))
    batch = torch.stack(reference.batch_standardize(list(x)))
    cases.assert_close(batch, F.batch_norm(x, None, None, training=True))
    groups = torch.stack(reference.group_standardize(list(x), num_groups=4))
    cases.assert_close(groups, torch.stack([batch, instance])[[0, 1, 0, 1], :, range(4)].transpose(0, 1))


def test_mixing_equals_the_1x1_convolution_of_torch():
    x, weight, bias = cases.normal(3, 4, 5), cases.normal(2, 3, seed=1), cases.normal(2, seed=2)
    cases.assert_close(reference.mix_channels(x, weight, bias), F.conv2d(x[None], weight[..., None, None], bias)[0])


def test_gelu_equals_that_of_torch():
    x = cases.normal(3, 4)
    cases.assert_close(reference.gelu(x), F.gelu(x))


def test_interactions_by_hand():
    x = torch.tensor([[1.0, 3.0], [0.0, 4.0]])
    kernel = torch.tensor([1.0, -0.5])
    scores = torch.sigmoid(torch.tensor([4.0, -2.0]))
    cases.assert_close(reference.hyper_channel_interaction(x, kernel), x * scores[:, None], tolerance=1e-6)
    # means over positions 2 and 2, over channels 0.5 and 3.5
    spatial = torch.tensor([0.25, 12.25]) * torch.tensor([2.0, 0.1])
    truth = x * torch.sigmoid(torch.tensor([4.0, -2.0])[:, None] * spatial)
    found = reference.hyper_interaction(x, x, kernel, torch.tensor([[2.0, 0.1]]))
    cases.assert_close(found, truth, tolerance=1e-6)
