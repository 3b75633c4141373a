"""CIFAR-100: small photographs of a hundred classes, as 32x32 images or pixel by pixel."""

from functools import partial
from pathlib import Path
from typing import Literal

from pytorch_lightning import LightningDataModule

from tasks.data.archives import Archive, find_archive
from tasks.data.batches import TensorBatches, check_batch_size
from tasks.data.data_module import count_parts, load_test, load_train, load_val
from tasks.images.augmentation import crop_and_flip
from tasks.images.image_data_module import image_parts
from tasks.images.inputs import Normalization, as_inputs, input_size
from tasks.images.published.cifar_batches import read_cifar
from tasks.images.published.labelled_images import LabelledImages, count_images

FOLDER = "cifar100"
ARCHIVES = (
    Archive(
        name="cifar-100-python.tar.gz",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
        md5="eb9058c3a382ffc7106e4002c42a8d85",
    ),
)
BATCHES = ("cifar-100-python/train", "cifar-100-python/test")
# fmt: off
CLASS_NAMES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
    "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)
# fmt: on
SIDE = 32
NORMALIZATION = Normalization(mean=(0.5071, 0.4867, 0.4408), deviation=(0.2675, 0.2565, 0.2761))


def read_cifar100(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the published training and test images.

    Args:
        root: Folder of all data sets.

    Returns:
        Training and test images, each `(N, 3, 32, 32)`.

    Raises:
        FileNotFoundError: If the archive is missing.
        ValueError: If the archive is broken.
    """
    path = find_archive(ARCHIVES[0], root=root, folder=FOLDER, dataset="images.cifar100")
    train, test = read_cifar(path, BATCHES, label_key=b"fine_labels", num_classes=len(CLASS_NAMES))
    return train, test


count_samples = partial(count_images, read_cifar100)


class CIFAR100(LightningDataModule):
    """The 60,000 images of CIFAR-100: 45,000 for training, 5,000 for validation, 10,000 for the test.

    Args:
        root: Folder of all data sets; the archive lies in `cifar100` within it.
        num_spatial_dims: 1 reads the pixels row by row, `(B, 3, 1024)`; 2 reads images, `(B, 3, 32, 32)`.
        augment: Crop (4 pixels of padding, mirrored) and flip the training images.
        select_on_test: Train on all 50,000 images and choose the epoch on the test part, as some published numbers
            did; results say so, for they are no estimate of new samples.
        batch_size: Samples a batch.
        split_seed: Seed of the split, apart from the seed of the training; 42 gives the split of CCNN.
        seed: Seed of the order and the changes of the training images; the command links it to `seed_everything`.
        num_workers: Processes that load; 0 is fastest without augmentation, the data lie in memory.
    """

    num_classes = len(CLASS_NAMES)
    class_names = CLASS_NAMES
    in_channels = 3

    def __init__(
        self,
        *,
        root: Path = Path("data"),
        num_spatial_dims: Literal[1, 2] = 2,
        augment: bool = False,
        select_on_test: bool = False,
        batch_size: int = 50,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.num_spatial_dims = num_spatial_dims
        self.size = input_size(SIDE, num_spatial_dims=num_spatial_dims)
        self.augment = augment
        self.select_on_test = select_on_test
        self.batch_size = check_batch_size(batch_size)
        self.split_seed = split_seed
        self.seed = seed
        self.num_workers = num_workers
        self.parts: dict[str, TensorBatches] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read and split the images.

        Args:
            stage: Unused; the parts are read once, together.
        """
        if self.parts:
            return
        train, test = read_cifar100(self.root)
        self.parts = image_parts(
            train,
            test,
            prepare=partial(as_inputs, normalization=NORMALIZATION, num_spatial_dims=self.num_spatial_dims),
            augment=partial(crop_and_flip, seed=self.seed) if self.augment else None,
            split_seed=self.split_seed,
            select_on_test=self.select_on_test,
        )

    part_sizes = property(count_parts)
    train_dataloader, val_dataloader = load_train, load_val
    test_dataloader = predict_dataloader = load_test
