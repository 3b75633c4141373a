import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.model_helpers import is_overridden

from tasks.data.batches import TensorBatches
from tasks.data.data_module import count_parts, load_test, load_train, load_val


class Numbers(LightningDataModule):
    batch_size, seed, num_workers = 4, 1, 0

    def __init__(self):
        super().__init__()
        index = torch.arange(20)
        bounds = {"train": (0, 10), "val": (10, 14), "test": (14, 20)}
        self.parts = {
            name: TensorBatches(x=index[start:end, None], y=index[start:end] % 2, index=index[start:end])
            for name, (start, end) in bounds.items()
        }

    part_sizes = property(count_parts)
    train_dataloader, val_dataloader = load_train, load_val
    test_dataloader = predict_dataloader = load_test


def indices(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return torch.cat([batch["index"] for batch in loader]).tolist()


def test_the_training_part_comes_in_a_new_order_each_epoch():
    first, second = (indices(Numbers().train_dataloader(), epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second


def test_the_other_parts_come_in_the_order_of_the_data():
    assert indices(Numbers().val_dataloader(), 3) == list(range(10, 14))
    assert indices(Numbers().test_dataloader(), 3) == indices(Numbers().predict_dataloader()) == list(range(14, 20))


def test_parts_are_counted():
    assert Numbers().part_sizes == {"train": 10, "val": 4, "test": 6}


def test_lightning_finds_the_functions_as_methods():
    for name in ("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader"):
        assert is_overridden(name, Numbers(), LightningDataModule)
