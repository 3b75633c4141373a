import pytest
import torch

from tasks.data.batches import BatchOrder, BatchRows, TensorBatches, batch_loader

DATA = TensorBatches(x=torch.randn(37, 1, 5), y=torch.arange(37) % 3, index=torch.arange(37) * 2)


def batches(loader, epoch):
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_an_epoch_holds_every_sample_once_and_drops_none():
    loader = batch_loader(DATA, batch_size=8, seed=1)
    told = batches(loader, 0)
    assert [len(batch["y"]) for batch in told] == [8, 8, 8, 8, 5] and len(loader) == 5
    assert torch.equal(torch.cat([batch["index"] for batch in told]).sort().values, DATA.columns["index"])


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
    assert torch.equal(torch.cat([batch["x"] for batch in told]), DATA.columns["x"])


def test_lengths_are_there_only_when_given():
    padded = TensorBatches(**DATA.columns, lengths=torch.arange(37))
    assert torch.equal(padded[BatchRows([3, 1], epoch=0)]["lengths"], torch.tensor([3, 1]))
    assert "lengths" not in DATA[BatchRows([3, 1], epoch=0)]


def shifted(batch, epoch):
    return {**batch, "x": batch["x"] + epoch}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_transform_changes_each_batch_and_knows_the_epoch(num_workers):
    data = TensorBatches(**DATA.columns, transform=shifted)
    loader = batch_loader(data, batch_size=10, num_workers=num_workers)
    for epoch in (2, 0):
        told = batches(loader, epoch)
        assert torch.equal(torch.cat([batch["x"] for batch in told]), DATA.columns["x"] + epoch)
        assert torch.equal(torch.cat([batch["index"] for batch in told]), DATA.columns["index"])


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        batch_loader(DATA, batch_size=0)
