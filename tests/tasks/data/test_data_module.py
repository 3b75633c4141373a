import re

import pytest
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from tasks.data.batches import TensorBatches
from tasks.data.data_module import InMemoryDataModule, check_data_module
from tasks.errors import UserError


class Numbers(InMemoryDataModule):
    num_spatial_dims, in_channels, size, class_names = 1, 1, (3,), ("even", "odd")

    def __init__(self, **options):
        super().__init__(batch_size=4, seed=1, **options)
        self.times_read = 0

    def read_splits(self):
        self.times_read += 1
        if not self.learnt:
            self.learnt = {"mean": 5.0}
        index = torch.arange(20)
        x = (index - self.learnt["mean"]).reshape(-1, 1, 1).expand(-1, 1, 3)
        rows = {"train": index[:10], "val": index[10:14], "test": index[14:]}
        return {split: TensorBatches(x=x[i], y=i % 2, index=i) for split, i in rows.items()}


@pytest.fixture
def numbers():
    data = Numbers()
    data.setup()
    return data


def indices(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return torch.cat([batch["index"] for batch in loader]).tolist()


# Data in memory.


def test_the_training_split_comes_in_a_new_order_each_epoch(numbers):
    first, second = (indices(numbers.train_dataloader(), epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second


def test_the_other_splits_come_in_the_order_of_the_data(numbers):
    assert indices(numbers.val_dataloader(), 3) == list(range(10, 14))
    assert indices(numbers.test_dataloader(), 3) == indices(numbers.predict_dataloader()) == list(range(14, 20))


def test_classes_and_samples_are_counted(numbers):
    assert numbers.num_classes == 2
    assert numbers.split_sizes == {"train": 10, "val": 4, "test": 6} and Numbers().split_sizes == {}


def test_data_are_read_once(numbers):
    numbers.setup("test")
    assert numbers.times_read == 1


def test_what_a_checkpoint_brings_is_used_whether_it_comes_before_setup_or_after(numbers):
    assert numbers.state_dict() == {"mean": 5.0}
    early = Numbers()
    early.load_state_dict({"mean": 2.0})
    early.setup()
    numbers.load_state_dict({"mean": 2.0})
    for data in (early, numbers):
        assert data.splits["val"].x[:, 0, 0].tolist() == [8, 9, 10, 11] and data.state_dict() == {"mean": 2.0}


def test_what_is_known_already_is_not_read_again(numbers):
    numbers.load_state_dict(numbers.state_dict())
    assert numbers.times_read == 1


def test_wrong_options_are_refused():
    with pytest.raises(UserError, match="num_workers must be at least 0, got -1"):
        Numbers(num_workers=-1)
    with pytest.raises(UserError, match="batch_size must be at least 1, got 0"):
        InMemoryDataModule(batch_size=0)


# The check.


def test_a_whole_data_module_passes_and_no_random_number_is_drawn(numbers):
    before = torch.get_rng_state()
    check_data_module(numbers)
    assert torch.equal(torch.get_rng_state(), before)


def faults(data, **options):
    with pytest.raises(UserError) as caught:
        check_data_module(data, **options)
    told = str(caught.value)
    assert told.startswith(f"{type(data).__name__} is no data module that can be trained on: ") and "\n" not in told
    return told.partition(": ")[2].split("; ")


def test_one_error_names_everything_that_is_missing():
    told = faults(LightningDataModule())
    names = [fault.split(" is missing")[0] for fault in told]
    assert names == [
        "num_classes", "class_names", "num_spatial_dims", "in_channels", "size", "split_sizes", "batch_size",
        "train: train_dataloader", "val: val_dataloader", "test: test_dataloader",
    ]  # fmt: skip


def test_attributes_alone_are_checked_before_setup():
    check_data_module(Numbers(), splits=())
    with pytest.raises(UserError, match="class_names must be 2 texts"):
        check_data_module(type("Nameless", (Numbers,), {"class_names": (0, 1)})(), splits=())


def test_what_may_be_missing_gets_its_usual_value():
    class Plain(LightningDataModule):
        num_classes, class_names, num_spatial_dims, in_channels, size = 2, ["a", "b"], 1, 1, (3,)
        batch_size, split_sizes = 4, {"train": 1, "val": 1, "test": 1}

    data = Plain()
    check_data_module(data, splits=())
    assert (data.selected_on, data.sample_names, data.num_tokens, data.split_seed) == ("validation", None, None, None)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("num_spatial_dims", 0, "num_spatial_dims must be a positive integer, got 0"),
        ("in_channels", True, "in_channels must be a positive integer, got True"),
        ("batch_size", None, "batch_size must be a positive integer, got None"),
        ("class_names", ("a", 1), "class_names must be 2 texts, one for each of num_classes, got ('a', 1)"),
        ("size", 3, "size must be a tuple of 1 positive integers, one for each of num_spatial_dims, got 3"),
        ("size", (3, 3), "size must be a tuple of 1 positive integers, one for each of num_spatial_dims, got (3, 3)"),
        ("size", (0,), "size must be a tuple of 1 positive integers, one for each of num_spatial_dims, got (0,)"),
        ("selected_on", "val", "selected_on must be 'validation', 'test' or 'last', got 'val'"),
        ("num_tokens", 0, "num_tokens must be None or a positive integer, got 0"),
        ("split_seed", "a", "split_seed must be None or an integer, got 'a'"),
        ("sample_names", "abc", "sample_names must be None or one text a sample, got 'abc'"),
    ],
)
def test_a_wrong_attribute_is_named_with_its_rule(numbers, name, value, fault):
    setattr(numbers, name, value)
    assert fault in faults(numbers)


def test_class_names_of_another_count_are_named(numbers):
    class Three(Numbers):
        num_classes = 3

    fault = "class_names must be 3 texts, one for each of num_classes, got ('even', 'odd')"
    assert faults(Three(), splits=()) == [fault]


def test_an_error_of_the_users_own_code_is_not_hidden(numbers):
    def fail():
        raise ZeroDivisionError

    numbers.train_dataloader = fail
    with pytest.raises(ZeroDivisionError):
        check_data_module(numbers)


class Given(Numbers):
    """The batch that a test gives stands for all."""

    def __init__(self, batch, **attributes):
        super().__init__()
        self.setup()
        self.batch = batch
        for name, value in attributes.items():
            setattr(self, name, value)

    def train_dataloader(self):
        return DataLoader([self.batch], batch_size=None) if isinstance(self.batch, dict) else self.batch

    val_dataloader = test_dataloader = train_dataloader


def batch(**changes):
    whole = {"x": torch.zeros(4, 1, 3), "y": torch.tensor([0, 1, 0, 1]), "index": torch.arange(4)}
    return {name: value for name, value in (whole | changes).items() if value is not None}


X_RULE, Y_RULE = "x must be (B, 1, L) of float32", "y must be classes (B,) of int64, or real targets of float32"


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ([], "train_dataloader must return one loader, got list"),
        (iter([]), "train_dataloader must yield at least one batch, got none"),
        (iter([(1, 2)]), "a batch must be a dict with x, y and index, got tuple"),
        (batch(index=None, y=None), "a batch must hold x, y and index, got one without y and index"),
        (batch(y=[0, 1, 0, 1]), "y must be a tensor, got list"),
        (batch(x=torch.zeros(4, 1, 3).double()), f"{X_RULE}, got (4, 1, 3) of float64"),
        (batch(x=torch.zeros(4, 3)), f"{X_RULE}, got (4, 3) of float32"),
        (batch(x=torch.zeros(4, 3, 1)), f"{X_RULE}, got (4, 3, 1) of float32"),
        (batch(x=torch.zeros(3, 1, 3)), "x must hold one sample, or a pair, for each y, got (3, 1, 3)"),
        (batch(y=torch.tensor([0, 1, 2, 1])), "y must hold classes from 0 to 1 (num_classes = 2), got from 0 to 2"),
        (batch(y=torch.tensor([1, 1, 1, -1])), "y must hold classes from 0 to 1 (num_classes = 2), got from -1 to 1"),
        (batch(y=torch.zeros(4).int()), f"{Y_RULE}, got (4,) of int32"),
        (batch(y=torch.zeros(4, 1).long()), f"{Y_RULE}, got (4, 1) of int64"),
        (batch(y=torch.zeros(4).double()), "y must be (B,) or (B, 2) of float32 where targets are real, got (4,) of"),
        (batch(y=torch.zeros(4, 3)), "y must be (B,) or (B, 2) of float32 where targets are real, got (4, 3) of"),
        (batch(y=torch.full((4,), torch.nan)), "y must be finite, got NaN or infinity"),
        (batch(index=torch.zeros(4)), "index must be (B,) of int64, the position of each sample in the whole data set"),
        (batch(index=torch.tensor([1, 2, 2, 3])), "index must name each sample once, got one twice"),
        (batch(lengths=torch.tensor([3, 3, 4, 1])), "lengths must be from 1 to the 3 positions of x, got from 1 to 4"),
        (batch(lengths=torch.tensor([3, 3, 0, 1])), "lengths must be from 1 to the 3 positions of x, got from 0 to 3"),
        (batch(lengths=torch.ones(4)), "lengths must be (B,) of int64 and x be sequences, got (4,) of float32"),
    ],
)
def test_a_wrong_batch_is_described(wrong, fault):
    (told,) = faults(Given(wrong), splits=("train",))
    assert told.startswith(f"train: {fault}")


def test_a_fault_of_several_splits_is_told_once():
    (told,) = faults(Given(batch(index=torch.zeros(4))))
    assert told.startswith("train and val and test: index must be")


@pytest.mark.parametrize(
    ("right", "attributes"),
    [
        (batch(x=torch.zeros(4, 1, 7)), {}),
        (batch(x=torch.zeros(8, 1, 3), lengths=torch.ones(8).long()), {}),
        (batch(y=torch.zeros(4)), {}),
        (batch(y=torch.zeros(4, 2)), {}),
        (batch(x=torch.full((4, 5), 6)), {"num_tokens": 7}),
        (batch(), {"sample_names": ["a", "b", "c", "d"]}),
    ],
    ids=["longer", "pairs", "numbers", "several numbers", "ids", "named"],
)
def test_what_batches_may_be_passes(right, attributes):
    check_data_module(Given(right, **attributes))


@pytest.mark.parametrize(
    ("wrong", "attributes", "fault"),
    [
        (batch(), {"num_tokens": 7}, "x must be ids (B, L) of int64, got (4, 1, 3) of float32"),
        (batch(x=torch.full((4, 5), 7)), {"num_tokens": 7}, "x must hold ids from 0 to 6 (num_tokens = 7), got from 7"),
        (batch(), {"sample_names": ["a"]}, "sample_names must hold a name for each index, got 1 names and an index"),
    ],
)
def test_ids_and_names_must_cover_the_batch(wrong, attributes, fault):
    assert re.search(re.escape(fault), "; ".join(faults(Given(wrong, **attributes))))
