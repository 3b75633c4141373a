"""Laws of the slow neural loss."""

import pytest
import torch

from hyperseq.losses import slow_neural_loss
from tests import cases

CHANNELS = {
    "growing": (2, 4, 8),
    "not-a-multiple": (3, 5, 7),
    "shrinking": (6, 4, 3),
    "equal": (3, 3),
    "one-channel": (1, 4),
    "single": (4,),
}


def by_loops(kernels, pairs):
    """Channel c of the larger kernel meets channel c mod C_i of the smaller one, at every position."""
    total = torch.zeros((), dtype=torch.float64)
    for j, large in enumerate(kernels):
        for i, small in enumerate(kernels[:j]):
            if pairs == "consecutive" and i != j - 1:
                continue
            squares = [
                (small[0, c % small.shape[1]].flatten()[p] - large[0, c].flatten()[p]) ** 2
                for c in range(large.shape[1])
                for p in range(large[0, 0].numel())
            ]
            total = total + sum(squares) / len(squares)
    return total


@pytest.mark.parametrize("size", [(5,), (2, 3), (1,)], ids=cases.shape_id)
@pytest.mark.parametrize("pairs", ["all", "consecutive"])
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_loss_equals_loops_with_gradients(channels, pairs, size):
    kernels = [cases.normal(1, c, *size, seed=c + i) for i, c in enumerate(channels)]
    found, truth = slow_neural_loss(kernels, pairs=pairs), by_loops(kernels, pairs)
    cases.assert_close(found, truth)
    if len(channels) > 1:
        cases.assert_same_with_gradients(found, truth, kernels)


def test_loss_by_hand():
    first, second = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[1.0, 4.0], [3.0, 2.0]]])
    assert float(slow_neural_loss([first, second])) == pytest.approx((0 + 4 + 4 + 0) / 4)


def test_all_pairs_are_the_default():
    kernels = [cases.normal(1, c, 5, seed=c) for c in (2, 3, 4)]
    assert slow_neural_loss(kernels) == slow_neural_loss(kernels, pairs="all")
    assert slow_neural_loss(kernels) > slow_neural_loss(kernels, pairs="consecutive")


def test_loss_of_one_kernel_is_a_zero_that_can_be_added_and_differentiated():
    kernel = cases.normal(1, 3, 5)
    loss = slow_neural_loss([kernel])
    assert (loss.item(), loss.shape, loss.dtype) == (0.0, (), torch.float64)
    (kernel.sum() + loss).backward()
    assert torch.equal(kernel.grad, torch.ones_like(kernel))


def test_loss_of_equal_kernels_is_zero():
    kernel = cases.normal(1, 2, 5)
    assert slow_neural_loss([kernel, torch.cat([kernel] * 3, dim=1)]).item() == 0.0


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (
            [(1, 2, 5), (1, 4, 5)],
            {"pairs": "some"},
            "pairs must be one of .*'all'.*'consecutive'.*, got 'some'",
        ),
        ([(1, 2, 5), (1, 4, 6)], {}, r"hyper_kernels must .*, got .*\(6,\)"),
        ([(1, 2, 5), (1, 4, 5, 5)], {}, r"hyper_kernels must .*, got .*\(5, 5\)"),
        ([], {}, "hyper_kernels must .*, got .*"),
    ],
)
def test_error_names_argument_rule_and_value(shapes, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        slow_neural_loss([torch.zeros(shape) for shape in shapes], **options)
