from functools import partial

import pytest
import torch

from tasks.data.batches import BatchRows
from tasks.images.image_data_module import image_parts
from tasks.images.published.labelled_images import joined, labelled_images
from tests.tasks.images.archives import noise


def images(count, *, first=0):
    # Each image is filled with its position, so that whatever becomes of it can be told.
    pixels = (first + torch.arange(count)).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 3, 3)
    return labelled_images(pixels, torch.arange(count) % 10, num_classes=10, source="noise")


def negative(pixels):
    return -pixels.float()


def brightened(pixels, index, epoch):
    return pixels + 100 * (epoch + 1)


def parts(select_on_test=False, split_seed=42):
    return image_parts(
        images(50),
        images(20, first=50),
        prepare=negative,
        augment=brightened,
        split_seed=split_seed,
        select_on_test=select_on_test,
    )


def whole(part, epoch=0):
    return part[BatchRows(list(range(len(part))), epoch)]


def test_every_sample_is_in_one_part_and_test_positions_follow_those_of_the_training_images():
    batches = {name: whole(part) for name, part in parts().items()}
    assert {name: len(batch["y"]) for name, batch in batches.items()} == {"train": 45, "val": 5, "test": 20}
    assert batches["test"]["index"].tolist() == list(range(50, 70))
    assert sorted(torch.cat([batches[name]["index"] for name in ("train", "val")]).tolist()) == list(range(50))


def test_pixels_labels_and_positions_stay_together():
    for name, part in parts().items():
        batch = whole(part)
        shown = -batch["x"][:, 0, 1, 1] - (100 if name == "train" else 0)
        assert torch.equal(shown.long(), batch["index"])
        assert torch.equal(batch["y"], (batch["index"] - (50 if name == "test" else 0)) % 10)


def test_pixels_lie_in_memory_as_bytes():
    assert {part.columns["x"].dtype for part in parts().values()} == {torch.uint8}


def test_training_images_alone_are_augmented_in_every_epoch_anew():
    first, second = ({name: whole(part, epoch)["x"] for name, part in parts().items()} for epoch in (0, 1))
    assert torch.equal(second["train"], first["train"] - 100)
    assert torch.equal(second["val"], first["val"]) and torch.equal(second["test"], first["test"])


def test_selecting_on_the_test_part_trains_on_everything_and_validates_on_the_test_part():
    told = parts(select_on_test=True)
    assert whole(told["train"])["index"].tolist() == list(range(50))
    assert torch.equal(whole(told["val"])["x"], whole(told["test"])["x"])
    assert whole(told["val"])["index"].tolist() == list(range(50, 70))


def test_the_split_depends_on_its_seed():
    first, again, other = (whole(parts(split_seed=seed)["val"])["index"] for seed in (42, 42, 43))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_joined_parts_keep_their_order():
    told = joined([images(3), images(2, first=3)])
    assert told.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4] and told.labels.tolist() == [0, 1, 2, 0, 1]


def test_what_is_no_labelled_image_is_refused():
    check = partial(labelled_images, num_classes=10, source="a.bin")
    pixels = torch.from_numpy(noise(3, 1, 2, 2))
    with pytest.raises(
        ValueError, match=r"a.bin must hold images as bytes \(N, C, H, W\), got torch.float32 of shape \(3"
    ):
        check(pixels.float(), torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match=r"a.bin must hold images as bytes .*, got torch.uint8 of shape \(3, 2, 2\)"):
        check(pixels[:, 0], torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="a.bin must hold one label an image, got 3 images and 2 labels"):
        check(pixels, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="a.bin must hold labels of 10 classes, got labels from -1 to 3"):
        check(pixels, torch.tensor([1, -1, 3]))
    assert check(pixels, torch.tensor([1, 2, 3], dtype=torch.uint8)).labels.dtype == torch.long
