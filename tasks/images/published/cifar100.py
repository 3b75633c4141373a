"""The published archive of CIFAR-100."""

from functools import partial
from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.images.published.cifar_batches import read_cifar
from tasks.images.published.labelled_images import LabelledImages, count_images

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


def read_cifar100(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the training and test images, each `(N, 3, 32, 32)`, in the folder `root` of all data sets.

    Raises:
        UserError: If the archive is missing or broken.
    """
    (path,) = DATA_SET.find_archives(root)
    train, test = read_cifar(path, BATCHES, label_key=b"fine_labels", num_classes=len(CLASS_NAMES))
    return train, test


DATA_SET = DataSet(
    name="images.cifar100",
    folder="cifar100",
    archives=(
        Archive(
            name="cifar-100-python.tar.gz",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            md5="eb9058c3a382ffc7106e4002c42a8d85",
        ),
    ),
    count_samples=partial(count_images, read_cifar100),
)
