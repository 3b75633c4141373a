"""The published files of MNIST."""

from functools import partial
from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.errors import UserError
from tasks.images.published.idx import read_idx
from tasks.images.published.labelled_images import LabelledImages, count_images, label_images

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
SIDE = 28
CLASS_NAMES = tuple(str(digit) for digit in range(10))


def read_mnist(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the training and test images, each `(N, 1, 28, 28)`, in the folder `root` of all data sets.

    Raises:
        UserError: If an archive is missing or broken.
    """
    paths = DATA_SET.find_archives(root)
    return _read_split(*paths[:2]), _read_split(*paths[2:])


DATA_SET = DataSet(
    name="images.mnist",
    folder="mnist",
    archives=tuple(
        Archive(name=name, urls=tuple(mirror + name for mirror in MIRRORS), md5=md5, md5_of="content")
        for name, md5 in (
            ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
            ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
            ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
            ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
        )
    ),
    count_samples=partial(count_images, read_mnist),
)


def _read_split(images: Path, labels: Path) -> LabelledImages:
    pixels = read_idx(images, num_axes=3)
    if pixels.shape[1:] != (SIDE, SIDE):
        height, width = pixels.shape[1:]
        raise UserError(f"{images} must hold images of {SIDE}x{SIDE} pixels, got {height}x{width}")
    return label_images(pixels[:, None], read_idx(labels, num_axes=1), num_classes=len(CLASS_NAMES), source=labels)
