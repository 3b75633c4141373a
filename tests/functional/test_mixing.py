"""Laws of channel mixing."""

import pytest
import torch

from hyperseq.functional import mix_channels
from hyperseq.functional.mixing import multiply_mixings
from tests import cases, reference


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@cases.over_shapes(cases.SHAPES)
def test_mixing_equals_loops_with_gradients(shape, bias):
    leaves = [cases.normal(*shape), cases.normal(4, shape[1], seed=1)] + [cases.normal(4, seed=2)] * bias
    truth = torch.stack([reference.mix_channels(sample, *leaves[1:]) for sample in leaves[0]])
    cases.assert_same_with_gradients(mix_channels(*leaves), truth, leaves)


def test_mixing_gradcheck_once_and_twice():
    leaves = (cases.normal(2, 2, 3), cases.normal(2, 2, seed=1), cases.normal(2, seed=2))
    assert torch.autograd.gradcheck(mix_channels, leaves)
    assert torch.autograd.gradgradcheck(mix_channels, leaves)


def test_mixing_non_contiguous_input_changes_nothing():
    x, weight = cases.normal(2, 3, 4, 5).detach(), cases.normal(4, 3, seed=1)
    swapped = x.transpose(2, 3).contiguous().transpose(2, 3)
    assert not swapped.is_contiguous()
    cases.assert_close(mix_channels(swapped, weight), mix_channels(x, weight), tolerance=1e-13)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@cases.over_shapes(cases.SHAPES)
def test_mixing_several_tensors_equals_mixing_their_concatenation(shape, bias):
    batch, channels, *size = shape
    parts = [cases.normal(batch, c, *size, seed=c) for c in (channels, 1, 4)]
    weights = [cases.normal(3, channels + 5, seed=7)] + [cases.normal(3, seed=8)] * bias
    truth = mix_channels(torch.cat(parts, dim=1), *weights)
    cases.assert_same_with_gradients(mix_channels(parts, *weights), truth, [*parts, *weights])


def test_mixing_several_tensors_gradcheck_once_and_twice():
    leaves = (cases.normal(2, 3, seed=3), cases.normal(2, 2, 3), cases.normal(2, 1, 3, seed=1))
    assert torch.autograd.gradcheck(lambda weight, *parts: mix_channels(parts, weight), leaves)
    assert torch.autograd.gradgradcheck(lambda weight, *parts: mix_channels(parts, weight), leaves)


def test_mixing_several_tensors_asks_no_gradient_of_those_that_need_none():
    fixed, learned, weight = cases.normal(2, 2, 3).detach(), cases.normal(2, 1, 3, seed=1), cases.normal(2, 3, seed=3)
    mix_channels([fixed, learned], weight.detach()).sum().backward()
    assert fixed.grad is None and weight.grad is None
    cases.assert_close(learned.grad, weight.detach().sum(0)[2].expand(2, 1, 3), tolerance=1e-13)


def test_mixing_several_tensors_under_autocast_has_its_type_and_gradients_in_their_own():
    parts = [cases.normal(2, 3, 9, dtype=torch.float32), cases.normal(2, 2, 9, seed=1, dtype=torch.bfloat16)]
    weight = cases.normal(4, 5, seed=2, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mix_channels(parts, weight)
    assert mixed.dtype == torch.bfloat16
    leaves = [*parts, weight]
    for leaf, gradient in zip(leaves, torch.autograd.grad(mixed.sum(), leaves), strict=True):
        assert gradient.dtype == leaf.dtype
    exact = mix_channels([part.double() for part in parts], weight.double())
    assert cases.relative_error(mixed, exact) < 3 * torch.finfo(torch.bfloat16).eps


@cases.over_shapes(cases.SHAPES)
def test_product_of_two_mixings_equals_mixing_twice_and_multiplying(shape):
    leaves = [cases.normal(*shape), cases.normal(2, 4, shape[1], seed=1), cases.normal(2, 4, seed=2)]
    x, weights, biases = leaves
    truth = mix_channels(x, weights[0], biases[0]) * mix_channels(x, weights[1], biases[1])
    cases.assert_same_with_gradients(multiply_mixings(*leaves), truth, leaves)


def test_product_of_two_mixings_gradcheck_once_and_twice():
    leaves = (cases.normal(2, 2, 3), cases.normal(2, 2, 2, seed=1), cases.normal(2, 2, seed=2))
    assert torch.autograd.gradcheck(multiply_mixings, leaves)
    assert torch.autograd.gradgradcheck(multiply_mixings, leaves)


def test_product_of_two_mixings_under_autocast_has_its_type_and_gradients_in_their_own():
    leaves = [cases.normal(*shape, dtype=torch.float32) for shape in ((2, 3, 9), (2, 4, 3), (2, 4))]
    with torch.autocast("cpu", torch.bfloat16):
        product = multiply_mixings(*leaves)
    assert product.dtype == torch.bfloat16
    assert [g.dtype for g in torch.autograd.grad(product.sum(), leaves)] == [torch.float32] * 3
    assert cases.relative_error(product, multiply_mixings(*leaves)) < 6 * torch.finfo(torch.bfloat16).eps


@cases.over_half_types
def test_mixing_half_types_keep_their_type_and_lose_only_their_own_digits(dtype):
    x, weight, bias = (
        cases.normal(2, 30, 9, dtype=dtype),
        cases.normal(4, 30, seed=1, dtype=dtype),
        cases.normal(4, seed=2, dtype=dtype),
    )
    found, truth = mix_channels(x, weight, bias), mix_channels(x.double(), weight.double(), bias.double())
    assert found.dtype == dtype
    # the sum of products is rounded once, its sum with the bias once more
    assert cases.relative_error(found, truth) < 1.1 * torch.finfo(dtype).eps


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 3), (2, 3, 0)], ids=cases.shape_id)
def test_mixing_error_names_argument_rule_and_value(shape):
    with pytest.raises(ValueError, match=rf"^x must .*, got .*{', '.join(map(str, shape))}"):
        mix_channels(torch.zeros(shape), torch.zeros(5, 3))
