import numpy as np
import torch

from tasks.data.batches import BatchRows
from tasks.images.image_data_module import ImageDataModule
from tasks.images.inputs import Inputs, Normalization
from tasks.images.published.labelled_images import LabelledImages


def read(root):
    # Each image is filled with its position, so that whatever becomes of it can be told.
    pixels = np.broadcast_to(np.arange(70, dtype=np.uint8).reshape(-1, 1, 1, 1), (70, 1, 3, 3))
    labels = np.arange(70) % 10
    return LabelledImages(pixels[:50], labels[:50]), LabelledImages(pixels[50:], labels[50:])


def brightened(pixels, index, epoch, *, seed):
    return pixels + 100 * (epoch + 1)


def splits(select_on_test=False, split_seed=42):
    # Inputs are the negatives of the pixels.
    inputs = Inputs(side=3, normalization=Normalization(mean=(0.0,), std=(-1 / 255,)), num_spatial_dims=2)
    data = ImageDataModule(read=read, inputs=inputs, augmentation=brightened, augment=True,
                           select_on_test=select_on_test, split_seed=split_seed)  # fmt: skip
    data.setup()
    return data.splits


def whole(split, epoch=0):
    return split[BatchRows(list(range(len(split))), epoch)]


def test_every_sample_is_in_one_split_and_test_positions_follow_those_of_the_training_images():
    batches = {name: whole(split) for name, split in splits().items()}
    assert {name: len(batch["y"]) for name, batch in batches.items()} == {"train": 45, "val": 5, "test": 20}
    assert batches["test"]["index"].tolist() == list(range(50, 70))
    assert sorted(torch.cat([batches[name]["index"] for name in ("train", "val")]).tolist()) == list(range(50))


def test_pixels_labels_and_positions_stay_together():
    for name, split in splits().items():
        batch = whole(split)
        shown = -batch["x"][:, 0, 1, 1] - (100 if name == "train" else 0)
        assert torch.equal(shown.round().long(), batch["index"])
        assert torch.equal(batch["y"], batch["index"] % 10)


def test_pixels_lie_in_memory_as_bytes():
    assert {split.x.dtype for split in splits().values()} == {torch.uint8}


def test_training_images_alone_are_augmented_in_every_epoch_anew():
    first, second = ({name: whole(split, epoch)["x"] for name, split in splits().items()} for epoch in (0, 1))
    torch.testing.assert_close(second["train"], first["train"] - 100)
    assert torch.equal(second["val"], first["val"]) and torch.equal(second["test"], first["test"])


def test_selecting_on_the_test_split_trains_on_everything_and_validates_on_the_test_split():
    told = splits(select_on_test=True)
    assert whole(told["train"])["index"].tolist() == list(range(50))
    assert torch.equal(whole(told["val"])["x"], whole(told["test"])["x"])
    assert whole(told["val"])["index"].tolist() == list(range(50, 70))


def test_the_split_depends_on_its_seed():
    first, again, other = (whole(splits(split_seed=seed)["val"])["index"] for seed in (42, 42, 43))
    assert torch.equal(first, again) and not torch.equal(first, other)
