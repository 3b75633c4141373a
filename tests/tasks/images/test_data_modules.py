"""What holds for the data module of every published data set, on small archives in the published format."""

import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.images import DATA_SETS, cifar10, cifar100, mnist, stl10
from tests.tasks.images.archives import TEST, TRAIN, WRITERS

MODULES = {"mnist": mnist.MNIST, "cifar10": cifar10.CIFAR10, "cifar100": cifar100.CIFAR100, "stl10": stl10.STL10}
PACKED = [data_set for data_set in DATA_SETS if not data_set.members]
AUGMENTED = ["cifar10", "cifar100", "stl10"]
SHAPES = {
    ("mnist", 1): (1, 784),
    ("mnist", 2): (1, 28, 28),
    ("cifar10", 1): (3, 1024),
    ("cifar10", 2): (3, 32, 32),
    ("cifar100", 1): (3, 1024),
    ("cifar100", 2): (3, 32, 32),
    ("stl10", 1): (3, 256 * 256),
    ("stl10", 2): (3, 256, 256),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for write in WRITERS:
        write(root)
    return root


@pytest.fixture
def data(root):
    """Build a data module by its name and set it up."""

    def build(name, **options):
        module = MODULES[name](root=root, batch_size=5, **options)
        module.setup()
        return module

    return build


def epoch(loader, number=0):
    loader.sampler.set_epoch(number)
    batches = list(loader)
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


@pytest.mark.parametrize(("name", "num_spatial_dims"), SHAPES)
def test_batches_have_the_announced_shape(data, name, num_spatial_dims):
    module = data(name, num_spatial_dims=num_spatial_dims)
    batch = next(iter(module.train_dataloader()))
    assert batch["x"].shape == (5, *SHAPES[name, num_spatial_dims]) == (5, module.in_channels, *module.size)
    assert module.num_spatial_dims == len(module.size) and batch["x"].dtype == torch.float32
    assert batch["y"].dtype == torch.long and batch["index"].dtype == torch.long
    assert len(module.class_names) == len(set(module.class_names)) == module.num_classes


@pytest.mark.parametrize("name", MODULES)
def test_a_tenth_of_the_training_images_validates(data, name):
    module = data(name)
    assert module.split_sizes == {"train": TRAIN - TRAIN // 10, "val": TRAIN // 10, "test": TEST}
    index = [epoch(loader())["index"] for loader in (module.train_dataloader, module.val_dataloader)]
    assert torch.equal(torch.cat(index).sort().values, torch.arange(TRAIN))
    for loader in (module.test_dataloader, module.predict_dataloader):
        assert epoch(loader())["index"].tolist() == list(range(TRAIN, TRAIN + TEST))


@pytest.mark.parametrize("name", MODULES)
def test_the_split_depends_on_its_own_seed_alone(data, name):
    modules = data(name, seed=1), data(name, seed=2), data(name, split_seed=43)
    first, second, third = (set(epoch(module.val_dataloader())["index"].tolist()) for module in modules)
    assert first == second != third


@pytest.mark.parametrize("name", MODULES)
def test_selecting_on_the_test_split_is_an_option_that_can_be_seen(data, name):
    assert data(name).selected_on == "validation"
    module = data(name, select_on_test=True)
    assert module.selected_on == "test"
    assert module.split_sizes == {"train": TRAIN, "val": TEST, "test": TEST}
    assert torch.equal(epoch(module.val_dataloader())["x"], epoch(module.test_dataloader())["x"])


@pytest.mark.parametrize("name", AUGMENTED)
def test_augmentation_changes_the_training_images_of_each_epoch_and_no_others(data, name):
    plain, augmented = data(name), data(name, augment=True)
    for split in ("val", "test"):
        loaders = [getattr(module, f"{split}_dataloader")() for module in (plain, augmented)]
        assert torch.equal(epoch(loaders[0], 0)["x"], epoch(loaders[1], 1)["x"])
    batches = [next(iter(module.train_dataloader())) for module in (plain, augmented)]
    assert torch.equal(batches[0]["index"], batches[1]["index"]) and torch.equal(batches[0]["y"], batches[1]["y"])
    assert not torch.equal(batches[0]["x"], batches[1]["x"])
    loader, images = augmented.train_dataloader(), []
    for number in (0, 1):
        told = epoch(loader, number)
        images.append(told["x"][told["index"].argsort()])
    assert not torch.equal(*images)


@pytest.mark.parametrize("name", ["cifar10", "stl10"])
def test_augmented_images_depend_on_seed_and_epoch_but_not_on_workers(data, name):
    alone, helped, other = (
        data(name, augment=True, seed=seed, num_workers=num_workers) for seed, num_workers in ((1, 0), (1, 2), (2, 0))
    )
    first, second, third = (epoch(module.train_dataloader(), 3) for module in (alone, helped, other))
    assert torch.equal(first["x"], second["x"]) and torch.equal(first["index"], second["index"])
    rows = [told["index"].argsort() for told in (first, third)]
    assert not torch.equal(first["x"][rows[0]], third["x"][rows[1]])


@pytest.mark.parametrize("name", MODULES)
def test_a_data_module_provides_what_the_command_reads(data, name):
    check_data_module(data(name))


@pytest.mark.parametrize("data_set", PACKED, ids=lambda data_set: data_set.name)
def test_the_published_images_are_counted(root, data_set):
    assert data_set.count_samples(root) == {"train": TRAIN, "test": TEST}


@pytest.mark.parametrize("data_set", PACKED, ids=lambda data_set: data_set.name)
def test_archives_lie_in_the_folder_of_their_data_set(root, data_set):
    assert data_set.name == f"images.{data_set.folder}"
    names = sorted(archive.name for archive in data_set.archives)
    assert sorted(path.name for path in (root / data_set.folder).iterdir()) == names
    for archive in data_set.archives:
        assert archive.urls and all(url.endswith(f"/{archive.name}") for url in archive.urls)
        assert len(bytes.fromhex(archive.md5)) == 16


@pytest.mark.parametrize("name", MODULES)
def test_a_missing_archive_is_named_with_the_command_that_prepares_it(tmp_path, name):
    module = MODULES[name](root=tmp_path)
    with pytest.raises(UserError, match=f"is not in {tmp_path}/{name}; .*hyperseq data prepare images.{name}"):
        module.setup()


@pytest.mark.parametrize("name", MODULES)
def test_archives_are_read_once(data, name, root, monkeypatch):
    module = data(name)
    before = module.splits["train"]
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: False)
    module.setup("test")
    assert module.splits["train"] is before


@pytest.mark.parametrize("name", MODULES)
def test_another_number_of_axes_and_empty_batches_are_refused(name):
    with pytest.raises(ValueError, match="num_spatial_dims must be 1 or 2, got 3"):
        MODULES[name](num_spatial_dims=3)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        MODULES[name](batch_size=0)
