import re

import numpy as np
import pytest
import torch

from tasks.data.batches import BatchOrder, BatchRows, TensorBatches, batch_loader, padding_share
from tasks.data.ragged import RaggedSequences
from tasks.errors import UserError

DATA = TensorBatches(x=torch.randn(37, 1, 5), y=torch.arange(37) % 3, index=torch.arange(37) * 2)


def batches(loader, epoch):
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_an_epoch_holds_every_sample_once_and_drops_none():
    loader = batch_loader(DATA, batch_size=8, seed=1)
    told = batches(loader, 0)
    assert [len(batch["y"]) for batch in told] == [8, 8, 8, 8, 5] and len(loader) == 5
    assert torch.equal(torch.cat([batch["index"] for batch in told]).sort().values, DATA.index)


def test_the_order_depends_on_seed_and_epoch_only():
    order = {}
    for seed in (1, 2):
        for epoch in (0, 1):
            torch.manual_seed(seed + epoch)
            loader = batch_loader(DATA, batch_size=8, seed=seed)
            order[seed, epoch] = torch.cat([batch["index"] for batch in batches(loader, epoch)]).tolist()
            assert order[seed, epoch] == [i for rows in iterate(seed, epoch) for i in rows]
    assert len({tuple(rows) for rows in order.values()}) == 4


def iterate(seed, epoch):
    order = BatchOrder(len(DATA), batch_size=5, seed=seed)
    order.set_epoch(epoch)
    return [DATA[wanted]["index"].tolist() for wanted in order]


def test_workers_change_nothing():
    alone, helped = (batches(batch_loader(DATA, batch_size=8, seed=1, num_workers=n), 3) for n in (0, 2))
    for first, second in zip(alone, helped, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_loading_draws_no_global_random_numbers():
    before = torch.get_rng_state()
    batches(batch_loader(DATA, batch_size=8, seed=1), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_the_samples_come_as_they_are():
    told = batches(batch_loader(DATA, batch_size=10), 4)
    assert torch.equal(torch.cat([batch["x"] for batch in told]), DATA.x)


@pytest.mark.parametrize("shape", [(2,), ()], ids=["channels", "ids"])
def test_samples_of_different_lengths_are_padded_to_the_longest_of_their_batch(shape):
    lengths = [3, 9, 1, 5]
    samples = [torch.randint(1, 9, (*shape, length)) for length in lengths]
    data = TensorBatches(x=samples, y=torch.arange(4), index=torch.arange(4))
    batch = data[BatchRows([3, 0, 2], epoch=0)]
    assert batch["x"].shape == (3, *shape, 5) and batch["x"].dtype == samples[0].dtype
    assert batch["lengths"].tolist() == [5, 3, 1] and batch["lengths"].dtype == torch.int64
    for told, row in zip(batch["x"], [3, 0, 2], strict=True):
        assert torch.equal(told[..., : lengths[row]], samples[row]) and not told[..., lengths[row] :].any()


def test_samples_of_one_length_have_no_lengths_unless_they_come_as_a_list():
    assert "lengths" not in DATA[BatchRows([3, 1], epoch=0)]
    listed = TensorBatches(x=list(DATA.x), y=DATA.y, index=DATA.index)[BatchRows([3, 1], epoch=0)]
    assert torch.equal(listed["x"], DATA.x[[3, 1]]) and listed["lengths"].tolist() == [5, 5]


def test_ragged_sequences_give_the_batches_of_a_list():
    samples = [torch.randn(2, length) for length in (3, 9, 1, 5)]
    ragged = RaggedSequences.join(samples)
    kinds = (samples, ragged, ragged.select([0, 1, 2, 3]))
    listed, *others = (TensorBatches(x=x, y=torch.arange(4), index=torch.arange(4)) for x in kinds)
    for other in others:
        assert other.x.values is ragged.values and other.lengths.tolist() == listed.lengths.tolist() == [3, 9, 1, 5]
        expected, told = (data[BatchRows([3, 0, 2], epoch=0)] for data in (listed, other))
        assert all(torch.equal(expected[key], told[key]) for key in ("x", "y", "index", "lengths"))


# Bucketed batches.

# Mostly short sequences and a few long ones.
LENGTHS = torch.from_numpy(np.random.default_rng(0).lognormal(5.5, 0.7, size=537).astype(int) + 1)


def bucketed(seed, epoch=0, lengths=LENGTHS):
    order = BatchOrder(len(lengths), batch_size=16, seed=seed, lengths=lengths)
    order.set_epoch(epoch)
    return order


@pytest.mark.parametrize("seed", [None, 1])
def test_bucketed_batches_hold_every_sample_once_with_little_padding(seed):
    order = bucketed(seed)
    rows = [row for wanted in order for row in wanted.rows]
    assert sorted(rows) == list(range(len(LENGTHS))) and len(order) == len(list(order))
    plain = BatchOrder(len(LENGTHS), batch_size=16, seed=seed)
    assert padding_share(order, LENGTHS) < 0.1 < 0.4 < padding_share(plain, LENGTHS)


def test_the_share_of_padding_is_what_the_batches_hold():
    samples = RaggedSequences.join([torch.ones(1, length) for length in LENGTHS.tolist()])
    data = TensorBatches(x=samples, y=LENGTHS, index=torch.arange(len(LENGTHS)))
    loader = batch_loader(data, batch_size=16, seed=3, bucket_by_length=True)
    told = torch.cat([batch["x"].flatten() for batch in batches(loader, 2)])
    assert padding_share(loader.sampler, LENGTHS) == pytest.approx(1 - told.mean().item(), abs=1e-6)


def test_bucketed_order_depends_on_seed_and_epoch_only_and_mixes_the_batches():
    order = {(seed, epoch): list(bucketed(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}
    assert order == {(seed, epoch): list(bucketed(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}
    together = {frozenset(wanted.rows) for batches in order.values() for wanted in batches}
    assert len(together) > 3 * len(order[1, 0])
    longest = [int(LENGTHS[wanted.rows].max()) for wanted in order[1, 0]]
    assert longest != sorted(longest)


def test_bucketed_batches_without_a_seed_are_sorted_by_length():
    rows = [row for wanted in bucketed(None) for row in wanted.rows]
    assert rows == sorted(range(len(LENGTHS)), key=lambda row: int(LENGTHS[row]))


def test_bucketing_keeps_the_order_of_samples_of_one_length():
    plain, same = (batch_loader(DATA, batch_size=8, seed=1, bucket_by_length=bucket) for bucket in (False, True))
    assert list(plain.sampler) == list(same.sampler)


def test_lengths_of_another_count_are_refused():
    with pytest.raises(UserError, match=re.escape("lengths must have one entry a sample, (4,), got (3,)")):
        BatchOrder(4, batch_size=2, lengths=torch.ones(3))


@pytest.mark.parametrize(
    ("x", "fault"),
    [
        (torch.zeros(3, 1, 5), "x, y and index must have one entry a sample, got 3, 2 and 2"),
        ([torch.zeros(1, 5), torch.zeros(2, 5)], "samples of x must be (C, L_i) and differ in length alone, got"),
        ([torch.zeros(5), torch.zeros(5).long()], "samples of x must be (C, L_i) and differ in length alone, got"),
        ([torch.zeros(1, 5), torch.zeros(1, 0)], "samples of x must have shape (C, L_i) or (L_i,) and at least 1"),
        ([torch.zeros(1, 4, 5)] * 2, "samples of x must have shape (C, L_i) or (L_i,) and at least 1"),
    ],
)
def test_samples_that_do_not_fit_are_refused(x, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        TensorBatches(x=x, y=torch.zeros(2), index=torch.arange(2))


def shifted(batch, epoch):
    return {**batch, "x": batch["x"] + epoch}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_transform_changes_each_batch_and_knows_the_epoch(num_workers):
    data = TensorBatches(x=DATA.x, y=DATA.y, index=DATA.index, transform=shifted)
    loader = batch_loader(data, batch_size=10, num_workers=num_workers)
    for epoch in (2, 0):
        told = batches(loader, epoch)
        assert torch.equal(torch.cat([batch["x"] for batch in told]), DATA.x + epoch)
        assert torch.equal(torch.cat([batch["index"] for batch in told]), DATA.index)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        batch_loader(DATA, batch_size=0)
