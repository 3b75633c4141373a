"""The published archive of STL-10."""

from functools import partial
from pathlib import Path

import numpy as np

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.data.tar_members import read_tar_members
from tasks.errors import UserError
from tasks.images.published.labelled_images import LabelledImages, count_images, label_images

MEMBERS = tuple(f"stl10_binary/{name}.bin" for name in ("train_X", "train_y", "test_X", "test_y"))
CLASS_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SHAPE = (3, 96, 96)


def read_stl10(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the labelled training and test images, each `(N, 3, 96, 96)`, in the folder `root` of all data sets.

    Raises:
        UserError: If the archive is missing or broken.
    """
    (path,) = DATA_SET.find_archives(root)
    train_x, train_y, test_x, test_y = read_tar_members(path, MEMBERS)
    return (
        _read_split(train_x, train_y, source=path / MEMBERS[0]),
        _read_split(test_x, test_y, source=path / MEMBERS[2]),
    )


DATA_SET = DataSet(
    name="images.stl10",
    folder="stl10",
    archives=(
        Archive(
            name="stl10_binary.tar.gz",
            urls=(
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            ),
            md5="91f7769df0f17e558f3565bffb0c7dfb",
        ),
    ),
    count_samples=partial(count_images, read_stl10),
)


def _read_split(pixels: bytes, labels: bytes, *, source: Path) -> LabelledImages:
    size = int(np.prod(SHAPE))
    if not pixels or not labels or len(pixels) % size:
        raise UserError(f"{source} must hold {size} bytes an image, got {len(pixels)} bytes, {len(labels)} labels")
    # The published order is column by column.
    images = np.ascontiguousarray(np.frombuffer(pixels, np.uint8).reshape(-1, *SHAPE).swapaxes(2, 3))
    classes = np.frombuffer(labels, np.uint8).astype(np.int64) - 1
    return label_images(images, classes, num_classes=len(CLASS_NAMES), source=source)
