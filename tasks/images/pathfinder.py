"""Pathfinder, Path-X and Path-256: do two marks lie on one dashed path? (Long Range Arena)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.data.batches import TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.splits import random_split
from tasks.errors import UserError, check_at_least, check_seed
from tasks.images.augmentation import turn_and_flip
from tasks.images.generated_pathfinder import Rules, choose_rules, generate_pathfinder
from tasks.images.image_data_module import transform_images
from tasks.images.inputs import Inputs, Normalization
from tasks.images.packed_images import find_packed, write_packed
from tasks.images.published.pathfinder import SIDES, identify_release, list_images, read_images

FRACTIONS = (0.8, 0.1, 0.1)
NORMALIZATION = Normalization(mean=(0.5,), std=(0.5,))
Source = Literal["generated", "released"]


class Pathfinder(InMemoryDataModule):
    """Tell whether both marks of a drawing lie on one path: two classes, from -1 (black) to 1 (white).

    The images lie in one file below `<root>/pathfinder`, which the first use writes and later ones map: memory holds
    what is used. Other options are those of `InMemoryDataModule`.

    Args:
        side: Height and width: 32 (Pathfinder), 64, 128 (Path-X) or 256, which is not generated.
        source: `generated` draws images with the published parameters (see `tasks.images.generated_pathfinder`):
            40,000 / 5,000 / 5,000; `released` reads the published folders: 160,000 / 20,000 / 20,000, split as by S4.
            Results record it, and scores on them are not the same measurement.
        root: Folder of all data sets.
        num_spatial_dims: 1 reads the pixels row by row, `(B, 1, side * side)`; 2 reads images.
        num_train: Training images to generate; the other splits do not depend on it.
        num_evaluated: Images to generate for each of validation and test. Another number moves images from split to
            split: do not evaluate weights that were trained with another one.
        data_seed: Seed of what is generated, below 2^32; the seed of the training does not change the data.
        target_length: Dashes of each of the two long paths of a generated image; `None` for the 14 of the benchmark.
            Fewer of them, or fewer distractors, make another and easier task, to begin a training with.
        num_distractors: Short paths of a generated image; `None` for those of the benchmark: 5, or 8 at 128 pixels.
        augment: Turn and mirror the training images at random: eight forms of each. The benchmark does not.
        batch_size: Samples a batch.

    Raises:
        UserError: If an option is out of range, or a released file is missing or broken.
    """

    class_names = ("apart", "joined")

    def __init__(
        self,
        *,
        side: Literal[32, 64, 128, 256] = 32,
        source: Source = "generated",
        root: Path = Path("data"),
        num_spatial_dims: Literal[1, 2] = 1,
        num_train: int = 40_000,
        num_evaluated: int = 5_000,
        data_seed: int = 0,
        target_length: int | None = None,
        num_distractors: int | None = None,
        augment: bool = False,
        batch_size: int = 64,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, **options)
        if source not in get_args(Source):
            raise UserError(f"source must be one of {', '.join(get_args(Source))}, got {source!r}")
        sides = SIDES if source == "released" else SIDES[:-1]
        if side not in sides:
            raise UserError(f"side must be one of {', '.join(map(str, sides))} for {source} images, got {side}")
        check_at_least(1, num_train=num_train, num_evaluated=num_evaluated)
        check_seed(data_seed=data_seed)
        self.rules = None
        if source == "generated":
            self.rules = choose_rules(side, target_length=target_length, num_distractors=num_distractors)
        elif (target_length, num_distractors) != (None, None):
            raise UserError(
                "target_length and num_distractors must be null for released images, "
                f"got {target_length} and {num_distractors}"
            )
        self.side, self.source, self.root = side, source, Path(root)
        self.num_train, self.num_evaluated, self.data_seed = num_train, num_evaluated, data_seed
        self.augmentation = partial(turn_and_flip, seed=self.seed) if augment else None
        self.inputs = Inputs(side=side, normalization=NORMALIZATION, num_spatial_dims=num_spatial_dims)
        self.num_spatial_dims, self.in_channels, self.size = num_spatial_dims, 1, self.inputs.size

    def read_splits(self) -> dict[str, TensorBatches]:
        """Map the images; write the file that holds them before, if it is not there."""
        folder = self.root / "pathfinder"
        if self.rules is not None:
            counts = {"test": self.num_evaluated, "val": self.num_evaluated, "train": self.num_train}
            name = f"generated-{self.side}-seed{self.data_seed}-{self.num_train}-{self.num_evaluated}"
            if self.rules != choose_rules(self.side):
                name += f"-dashes{self.rules.target_length}-distractors{self.rules.num_distractors}"
            path, count = folder / f"{name}.npy", sum(counts.values())
            packed = self._find(path, count=count) or self._generate(path, self.rules, count)
        else:
            # Packed anew where the release has changed, as after a repair.
            name = f"released-{self.side}-split{self.split_seed}-{identify_release(self.root, self.side)}.npy"
            packed = self._find(folder / name) or self._read(folder / name)
            rows = random_split(len(packed[1]), fractions=FRACTIONS, seed=self.split_seed)
            counts = {split: len(index) for split, index in zip(SPLITS, rows, strict=True)}
        pixels, labels = map(torch.from_numpy, packed)
        splits, begin = {}, 0
        for split, count in counts.items():
            # A slice, not chosen rows: it is a view of the map.
            part = slice(begin, begin + count)
            index = torch.arange(begin, begin + count)
            augmentation = self.augmentation if split == "train" else None
            transform = partial(transform_images, inputs=self.inputs, augmentation=augmentation)
            splits[split] = TensorBatches(x=pixels[part, None], y=labels[part], index=index, transform=transform)
            begin += count
        return {split: splits[split] for split in SPLITS}

    def _find(self, path: Path, *, count: int | None = None) -> Any:
        return find_packed(path, side=self.side, num_classes=len(self.class_names), count=count)

    def _generate(self, path: Path, rules: Rules, count: int) -> Any:
        def draw() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
            # Told once there is room, and by the process that draws.
            print(f"Pathfinder: {count:,} images are drawn and kept in {path}")
            for images in generate_pathfinder(rules, seed=self.data_seed):
                yield images.pixels, images.labels

        # Test and validation come first, so that another num_train leaves them as they are.
        write_packed(path, draw(), count=count, side=self.side)
        return self._find(path, count=count)

    def _read(self, path: Path) -> Any:
        files, labels, num_skipped = list_images(self.root, self.side)
        if num_skipped:
            print(f"Pathfinder: {num_skipped} empty image files are left out")
        # In the order of the splits: each of them is then one piece of the file.
        rows = torch.cat(random_split(len(files), fractions=FRACTIONS, seed=self.split_seed)).numpy()

        def read() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
            print(f"Pathfinder: {len(files):,} images are read and kept in {path}")
            begin = 0
            for pixels in read_images([files[row] for row in rows], self.side):
                yield pixels, labels[rows[begin : begin + len(pixels)]]
                begin += len(pixels)

        write_packed(path, read(), count=len(files), side=self.side)
        return self._find(path)
