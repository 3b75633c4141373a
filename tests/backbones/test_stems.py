"""Laws of stems: what shortens the input, what reads tokens, and how padding passes through either."""

import pytest
import torch
from torch import Tensor, nn

from hyperseq import Terminator
from hyperseq.backbones import ResidualStack
from hyperseq.functional import as_padding
from hyperseq.nn import TokenEmbedding
from tests import cases
from tests.nn.layers import BLOCK, Attention

LENGTHS = (9, 4, 11, 2)
SIZE = 11


class Strided(nn.Module):
    """A convolution of stride 2 that says how it shortens a sequence."""

    def __init__(self, in_channels: int, channels: int, dims: int = 1) -> None:
        super().__init__()
        convolution = nn.Conv1d if dims == 1 else nn.Conv2d
        self.convolution = convolution(in_channels, channels, 3, stride=2, padding=1)

    def output_lengths(self, lengths):
        return (lengths + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x)


class StridedWithLengths(Strided):
    """The same; it also masks its own bias, for which it needs lengths."""

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        y = super().forward(x)
        if lengths is None:
            return y
        assert isinstance(lengths, Tensor)
        return y.masked_fill(torch.arange(y.shape[-1]) >= self.output_lengths(lengths)[:, None, None], 0)


def terminator(stem, *, channels=(4, 6, 8), size=SIZE, in_channels=3, dims=1):
    return Terminator(dims, in_channels, size=size, channels=channels, stem=stem, **BLOCK).double().eval()


def stack(stem, *, channels=(4,), in_channels=3, **_):
    return ResidualStack(in_channels, layer=Attention, depth=2, d_model=channels[0], stem=stem).double().eval()


over_networks = pytest.mark.parametrize("network", [terminator, stack])
over_strided = pytest.mark.parametrize("stem", [Strided, StridedWithLengths])


def assert_padded_equals_alone(model, inputs, dirty, lengths):
    found = model(dirty, lengths=torch.tensor(lengths))
    assert found.isfinite().all()
    alone = [model(x[None]) for x in inputs]
    truth = torch.cat([nn.functional.pad(y, (0, found.shape[-1] - y.shape[-1])) for y in alone])
    cases.assert_same_with_gradients(found, truth, model.parameters(), tolerance=1e-8)
    shorter = [int(model.output_lengths(length)) for length in lengths]
    assert (found.masked_select(cases.padding(found.shape, shorter)) == 0).all()


@over_networks
@over_strided
@cases.over_junk
def test_padded_equals_alone_behind_a_stem_that_shortens(network, stem, junk):
    torch.manual_seed(0)
    model = network(stem(3, 4))
    x = cases.normal(4, 3, SIZE)
    inputs = [sample[:, :length] for sample, length in zip(x.detach(), LENGTHS, strict=True)]
    assert_padded_equals_alone(model, inputs, cases.spoiled(x, LENGTHS, junk), LENGTHS)


@over_networks
@pytest.mark.parametrize("padding_id", [0, 2])
@pytest.mark.parametrize("junk", [-1, 99])
def test_padded_equals_alone_behind_a_token_embedding(network, padding_id, junk):
    torch.manual_seed(0)
    model = network(TokenEmbedding(9, 4, padding_id=padding_id), in_channels=1)
    ids = torch.randint(9, (4, SIZE))
    inputs = [sample[:length] for sample, length in zip(ids, LENGTHS, strict=True)]
    dirty = ids.masked_fill(cases.padding(ids.shape, LENGTHS)[:, 0], junk)
    assert_padded_equals_alone(model, inputs, dirty, LENGTHS)


@over_networks
def test_lengths_that_were_checked_before_give_the_same(network):
    torch.manual_seed(0)
    for stem in (Strided(3, 4), StridedWithLengths(3, 4), None):
        model, x, lengths = network(stem), cases.normal(4, 3, SIZE), torch.tensor(LENGTHS)
        assert torch.equal(model(x, lengths=as_padding(lengths, x)), model(x, lengths=lengths))


@over_networks
def test_output_lengths_are_those_of_the_stem_or_of_the_input(network):
    lengths = torch.tensor(LENGTHS)
    for stem in (None, nn.Conv1d(3, 4, 3, padding=1), TokenEmbedding(9, 4)):
        model = network(stem)
        assert model.output_lengths(7) == 7
        assert torch.equal(model.output_lengths(lengths), lengths)
    model = network(Strided(3, 4))
    assert model.output_lengths(7) == 4
    assert model.output_lengths(lengths).tolist() == [5, 2, 6, 1]


def test_blocks_have_the_extent_of_the_features():
    model = terminator(Strided(3, 4))
    assert [block.global_operator.slow_network.size for block in model.blocks] == [(6,), (6,)]
    assert model.size == (11,)
    model = terminator(Strided(3, 4, dims=2), size=(8, 5), dims=2)
    assert [block.global_operator.slow_network.size for block in model.blocks] == [(4, 3), (4, 3)]
    assert model(cases.normal(2, 3, 8, 5)).shape == (2, 8, 4, 3)


def test_hyper_kernels_take_the_size_of_the_input():
    model = terminator(Strided(3, 4))
    assert [tuple(kernel.shape) for kernel in model.hyper_kernels()] == [(1, 4, 6), (1, 6, 6)]
    assert [tuple(kernel.shape) for kernel in model.hyper_kernels(7)] == [(1, 4, 4), (1, 6, 4)]
    x = cases.normal(2, 3, 7)
    assert torch.equal(model(x, hyper_kernels=model.hyper_kernels(7)), model(x))


@pytest.mark.parametrize("stem", [None, Strided], ids=["none", "strided"])
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_kernels_that_are_larger_give_their_beginnings(stem, rate):
    model = terminator(stem and stem(3, 4))
    x, lengths = cases.normal(4, 3, 8), torch.tensor([8, 3, 5, 1])
    found = model(x, lengths=lengths, rate=rate, hyper_kernels=model.hyper_kernels(rate=rate))
    cases.assert_close(found, model(x, lengths=lengths, rate=rate), tolerance=1e-11)


class Mean(nn.Module):
    """The mean of 4 positions of training, which are 4 / rate positions."""

    def output_lengths(self, lengths, rate=1.0):
        return lengths // int(4 / rate)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None, rate: float = 1.0) -> Tensor:
        return nn.functional.avg_pool1d(x, int(4 / rate))


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0, 4.0])
def test_behind_a_stem_that_takes_the_rate_all_is_as_in_training(rate):
    model, x, lengths = terminator(Mean(), channels=(3, 6), size=12), cases.normal(2, 3, 3), torch.tensor([2, 3])
    training, positions = x.repeat_interleave(4, dim=-1), int(4 / rate)
    other = x.repeat_interleave(positions, dim=-1)
    assert model.output_lengths(3 * positions, rate) == 3
    cases.assert_close(model(other, rate=rate), model(training), tolerance=1e-12)
    kernels = model.hyper_kernels(3 * positions, rate)
    cases.assert_close(model(other, rate=rate, hyper_kernels=kernels), model(training), tolerance=1e-12)
    found = model(other, lengths=positions * lengths, rate=rate)
    cases.assert_close(found, model(training, lengths=4 * lengths), tolerance=1e-12)


def test_kernels_that_are_smaller_are_refused():
    model = terminator(Strided(3, 4))
    with pytest.raises(ValueError, match=r"^hyper_kernels must .*\(6,\).*, got \(5,\)"):
        model(cases.normal(2, 3, 11), hyper_kernels=model.hyper_kernels(10))


@over_networks
def test_lengths_are_refused_behind_a_stem_that_hides_how_it_shortens(network):
    model = network(nn.Conv1d(3, 4, 3, stride=2, padding=1))
    x = cases.normal(4, 3, SIZE)
    assert model(x).shape[-1] == 6
    with pytest.raises(ValueError, match="^stem must have a method output_lengths .*11.*6.*, got Conv1d"):
        model(x, lengths=torch.tensor(LENGTHS))


@over_networks
def test_a_stem_of_another_width_is_refused(network):
    with pytest.raises(ValueError, match=r"^stem output must have 4 channels, got .*\(4, 5, 11\)"):
        network(nn.Conv1d(3, 5, 1))(cases.normal(4, 3, SIZE))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@over_networks
def test_a_compiled_network_with_a_stem_is_one_program(network):
    torch.manual_seed(0)
    model, x, lengths = (
        network(StridedWithLengths(3, 4), channels=(4, 6)),
        cases.normal(4, 3, SIZE),
        torch.tensor(LENGTHS),
    )
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    cases.assert_same_with_gradients(compiled(x, lengths=lengths), model(x, lengths=lengths), [x], tolerance=1e-8)
    torch.compiler.reset()
