"""Laws of the token embedding: its table, its padding and its errors."""

import copy

import pytest
import torch

from hyperseq.functional import as_padding
from hyperseq.nn import TokenEmbedding
from tests import cases

LENGTHS = (5, 1, 8, 3)
IDS = torch.tensor([[(3 * i + 5 * p) % 6 + 1 for p in range(8)] for i in range(4)])


def build(**options):
    torch.manual_seed(0)
    return TokenEmbedding(7, 3, **options).double()


def by_loops(table, ids, lengths, padding_id=0):
    """The vector of each id, position by position; zero for the padding id and behind the length."""
    output = torch.zeros(len(ids), table.shape[1], ids.shape[1], dtype=table.dtype)
    for i, length in enumerate(lengths):
        for p in range(length):
            if ids[i, p] != padding_id:
                output[i, :, p] = table[ids[i, p]]
    return output


@pytest.mark.parametrize("padding_id", [0, 4])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_embedding_equals_loops_with_gradients(padding_id, lengths, dtype):
    embedding = build(padding_id=padding_id)
    table = embedding.embedding.weight
    truth = by_loops(table, IDS, lengths or (8,) * 4, padding_id)
    found = embedding(IDS.to(dtype), lengths=None if lengths is None else torch.tensor(lengths))
    cases.assert_same_with_gradients(found, truth, [table])


@pytest.mark.parametrize("junk", [-1, 10**6, 3])
def test_what_stands_in_the_padding_changes_nothing(junk):
    embedding, lengths = build(), torch.tensor(LENGTHS)
    dirty = IDS.masked_fill(cases.padding(IDS.shape, LENGTHS)[:, 0], junk)
    found, truth = embedding(dirty, lengths=lengths), embedding(IDS, lengths=lengths)
    assert torch.equal(found, truth)
    (gradient,) = torch.autograd.grad(found.square().sum(), embedding.embedding.weight)
    (expected,) = torch.autograd.grad(truth.square().sum(), embedding.embedding.weight)
    assert torch.equal(gradient, expected)


def test_padding_that_was_checked_before_gives_the_same():
    embedding, lengths = build(), torch.tensor(LENGTHS)
    assert torch.equal(embedding(IDS, lengths=as_padding(lengths, IDS[:, None])), embedding(IDS, lengths=lengths))


def test_full_lengths_change_nothing():
    embedding = build()
    assert torch.equal(embedding(IDS, lengths=torch.tensor([8] * 4)), embedding(IDS))


def test_the_vector_of_the_padding_id_is_zero_and_stays_zero():
    embedding = build(padding_id=2)
    ids = torch.tensor([[1, 2, 3]])
    embedding(ids).square().sum().backward()
    torch.optim.SGD(embedding.parameters(), lr=0.1).step()
    output = embedding(ids)
    assert (output[0, :, 1] == 0).all()
    assert (output[0, :, [0, 2]] != 0).all()


def test_copies_give_the_same_result():
    embedding = build()
    twin = TokenEmbedding(7, 3).double()
    twin.load_state_dict(embedding.state_dict())
    assert torch.equal(twin(IDS), embedding(IDS))
    assert torch.equal(copy.deepcopy(embedding)(IDS), embedding(IDS))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_embedding_is_one_program_with_the_same_values():
    embedding, lengths = build(), torch.tensor(LENGTHS)
    compiled = torch.compile(embedding, backend="aot_eager", fullgraph=True)
    cases.assert_close(compiled(IDS, lengths=lengths), embedding(IDS, lengths=lengths))
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 3), {}, "num_tokens must .*, got 0"),
        ((7, 0), {}, "channels must .*, got 0"),
        ((7, True), {}, "channels must .*, got True"),
        ((7, 3), {"padding_id": 7}, "padding_id must .*0..6, got 7"),
        ((7, 3), {"padding_id": -1}, "padding_id must .*0..6, got -1"),
        ((7, 3), {"padding_id": 0.0}, "padding_id must .*0..6, got 0.0"),
    ],
)
def test_construction_error_names_argument_rule_and_value(arguments, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        TokenEmbedding(*arguments, **options)


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        (IDS[:, None], {}, r"ids must .*, got .*\(4, 1, 8\)"),
        (IDS[:, :0], {}, r"ids must .*, got .*\(4, 0\)"),
        (IDS.double(), {}, "ids must .*, got torch.float64"),
        (IDS + 1, {}, "ids must lie in 0..6, got values from 2 to 7"),
        (IDS - 2, {}, "ids must lie in 0..6, got values from -1 to 4"),
        (IDS, {"lengths": torch.tensor([8, 9, 8, 8])}, "lengths must .*1..8, got .*9"),
        (IDS, {"lengths": torch.tensor([8, 8])}, r"lengths must .*\(4,\).*, got \(2,\)"),
    ],
)
def test_call_error_names_argument_rule_and_value(ids, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        build()(ids, **options)


def test_vmap_equals_a_loop():
    embedding, ids = TokenEmbedding(5, 3), torch.tensor([[[1, 2, 0]], [[4, 4, 1]]])
    cases.assert_close(torch.vmap(embedding)(ids), torch.stack([embedding(each) for each in ids]))
