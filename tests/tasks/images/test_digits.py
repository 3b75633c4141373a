import pytest
import torch
from sklearn.datasets import load_digits

from tasks.images.digits import Digits


def digits(**options):
    data = Digits(**options)
    data.setup()
    return data


@pytest.mark.parametrize(("num_spatial_dims", "shape"), [(1, (32, 1, 64)), (2, (32, 1, 8, 8))])
def test_batches_have_the_announced_shape(num_spatial_dims, shape):
    data = digits(num_spatial_dims=num_spatial_dims)
    batch = next(iter(data.train_dataloader()))
    assert batch["x"].shape == shape == (32, data.in_channels, *data.size)
    assert len(data.size) == data.num_spatial_dims and batch["x"].dtype == torch.float32
    assert len(data.class_names) == data.num_classes == 10


def test_every_digit_is_in_one_split_and_splits_have_the_class_shares_of_the_whole():
    data = digits()
    assert data.split_sizes == {"train": 1257, "val": 180, "test": 360}
    index = torch.cat([split.index for split in data.splits.values()])
    assert torch.equal(index.sort().values, torch.arange(1797))
    for split in data.splits.values():
        shares = split.y.bincount(minlength=10) / len(split)
        assert shares.min() > 0.09 and shares.max() < 0.11


def test_the_sequence_is_the_image_row_by_row_and_both_are_the_pixels_of_the_data():
    rows, images = digits(num_spatial_dims=1), digits(num_spatial_dims=2)
    for split, image in images.splits.items():
        assert torch.equal(rows.splits[split].x.reshape(-1, 1, 8, 8), image.x)
        pixels = torch.from_numpy(load_digits().images)[image.index]
        line = torch.corrcoef(torch.stack([pixels.flatten(), image.x.double().flatten()]))
        assert line[0, 1] > 1 - 1e-6
        assert torch.equal(image.y, torch.from_numpy(load_digits().target)[image.index])


def test_pixels_are_standardized_by_the_training_split_alone():
    x = digits().splits["train"].x
    assert abs(x.mean()) < 1e-5 and abs(x.std(correction=0) - 1) < 1e-5
    assert abs(digits().splits["test"].x.mean()) > 1e-5


def test_the_split_depends_on_its_own_seed_alone():
    index = [digits(seed=1).splits, digits(seed=2).splits, digits(split_seed=43).splits]
    first, second, third = (splits["test"].index for splits in index)
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_a_checkpoint_brings_the_statistics_of_the_split_it_was_trained_on():
    trained, other = digits(), digits(split_seed=43)
    assert trained.state_dict() != other.state_dict()
    mean, std = trained.state_dict()["mean"], trained.state_dict()["std"]
    pixels = torch.from_numpy(load_digits().data)
    before = Digits(split_seed=43)
    before.load_state_dict(trained.state_dict())
    before.setup()
    other.load_state_dict(trained.state_dict())
    for data in (before, other):
        test = data.splits["test"]
        expected = ((pixels[test.index] - mean) / std).float()
        assert torch.equal(test.x.flatten(1), expected)


def test_what_is_no_digits_task_is_refused():
    with pytest.raises(ValueError, match="num_spatial_dims must be 1 or 2, got 3"):
        Digits(num_spatial_dims=3)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        Digits(batch_size=0)
