"""The published archive of CIFAR-10."""

from functools import partial
from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.images.published.cifar_batches import read_cifar
from tasks.images.published.labelled_images import LabelledImages, concatenate, count_images

BATCHES = tuple(f"cifar-10-batches-py/{name}" for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"))
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def read_cifar10(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the training and test images, each `(N, 3, 32, 32)`, in the folder `root` of all data sets.

    Raises:
        UserError: If the archive is missing or broken.
    """
    (path,) = DATA_SET.find_archives(root)
    *train, test = read_cifar(path, BATCHES, label_key=b"labels", num_classes=len(CLASS_NAMES))
    return concatenate(train), test


DATA_SET = DataSet(
    name="images.cifar10",
    folder="cifar10",
    archives=(
        Archive(
            name="cifar-10-python.tar.gz",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            md5="c58f30108f718f92721af3b95e74349a",
        ),
    ),
    count_samples=partial(count_images, read_cifar10),
    aliases=("lra.image",),
)
