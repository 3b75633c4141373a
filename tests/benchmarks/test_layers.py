import pytest
import torch

from benchmarks.layers import peers
from benchmarks.layers.problems import IGNORED, associative_recall, byte_model, digits, selective_copying
from benchmarks.layers.training import Network, train
from hyperseq import SequenceMixer


def generator():
    return torch.Generator().manual_seed(0)


def test_recall_asks_for_the_value_that_stood_behind_the_key():
    inputs, targets = associative_recall(num_pairs=3, num_keys=5, length=12, batch=4).draw(generator())
    for row, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        values = dict(zip(row[0:6:2], row[1:6:2], strict=True))
        assert len(values) == 3
        asked = [position for position, target in enumerate(wanted) if target != IGNORED]
        assert len(asked) == 3 and min(asked) >= 6
        assert all(wanted[position] == values[row[position]] for position in asked)


def test_copying_asks_for_the_symbols_in_their_order():
    inputs, targets = selective_copying(length=20, num_copied=4, num_symbols=5, batch=3).draw(generator())
    for row, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert [token for token in row[:16] if token] == wanted[16:]
        assert set(wanted[:16]) == {IGNORED}
        assert set(row[16:]) == {6}


def test_the_byte_model_predicts_the_next_byte_of_text_it_has_not_seen():
    problem = byte_model(length=16, batch=4)
    inputs, targets = problem.draw(generator())
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    for inputs, targets in problem.held_out:
        assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_digits_are_split_once():
    problem = digits()
    (images, labels), inputs = problem.held_out[0], problem.draw(generator())[0]
    assert images.shape[1:] == inputs.shape[1:] == (1, 64)
    assert len(labels) == 360


@pytest.mark.parametrize(
    "layer",
    [
        lambda d: SequenceMixer(d, l_max=32, causal=True),
        lambda d: peers.GatedLongConvolution(d, causal=True, length=32),
        lambda d: peers.GRU(d, causal=True),
        lambda d: peers.Attention(d, causal=True),
    ],
    ids=["mixer", "convolution", "gru", "attention"],
)
def test_every_layer_is_causal_and_trains(layer):
    torch.manual_seed(0)
    network = Network(associative_recall(batch=8), layer, depth=1, width=8)
    x = torch.randn(2, 32, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(network.stack.layers[0].layer(x)[:, :9].sum(), x)
    assert gradient[:, 9:].abs().max() < 1e-6 * gradient.abs().max()
    result = train(network, steps=3, seed=0)
    assert result["steps"] == 3
    assert 0 <= result["score"] <= 1
