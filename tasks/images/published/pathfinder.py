"""The released folders of Pathfinder, Path-X and Path-256: PNG images, and text files that hold their labels."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tasks.data.data_set import DataSet
from tasks.data.lra_release import ARCHIVE, INNER_FOLDER
from tasks.errors import UserError

HARD = "curv_contour_length_14"
SIDES = (32, 64, 128, 256)
NUM_IMAGES = 200_000
"""Of the hard setting; the text files list the few that are empty, too."""
LABEL, NUM_FIELDS = 3, 11
CHUNK = 1000


class ImageList(NamedTuple):
    """The images of one size, in the order of the text files: by batch number, then by line."""

    files: list[Path]
    labels: NDArray[np.int64]
    num_skipped: int
    """Images left out since their file is empty."""


def list_images(root: Path, side: int) -> ImageList:
    """List the images of the hard setting below the folder `root` of all data sets.

    Raises:
        UserError: If a folder or an image is missing, or a text file is broken.
    """
    folder = DATA_SETS_BY_SIDE[side].get_place(root) / HARD
    files, labels, num_skipped = [], [], 0
    for path, text in _read_metadata(folder / "metadata").items():
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.split()
            if len(fields) != NUM_FIELDS or fields[LABEL] not in ("0", "1"):
                raise UserError(
                    f"{path}, line {number} must have {NUM_FIELDS} fields with the label 0 or 1 in field {LABEL + 1}, "
                    f"got {line[:60]!r}"
                )
            file = folder / fields[0] / fields[1]
            if not file.is_file():
                raise UserError(f"{file} is missing; {path} lists it; {_tell_remedy(side)}")
            if not file.stat().st_size:
                num_skipped += 1
                continue
            files.append(file)
            labels.append(int(fields[LABEL]))
    return ImageList(files, np.array(labels, dtype=np.int64), num_skipped)


def identify_release(root: Path, side: int) -> str:
    """Return a hash of the text files, which list all images; errors as of `list_images`."""
    texts = _read_metadata(DATA_SETS_BY_SIDE[side].get_place(root) / HARD / "metadata")
    content = "".join(f"{path.name}\n{text}" for path, text in texts.items())
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _read_metadata(folder: Path) -> dict[Path, str]:
    """Read the text files in the order of their numbers."""
    batches = {path: path.stem for path in folder.glob("*.npy")}
    if not batches or not all(number.isdecimal() for number in batches.values()):
        raise UserError(f"{folder} must hold text files such as 0.npy, got {sorted(batches.values())[:3]}")
    texts = {}
    for path in sorted(batches, key=lambda path: int(path.stem)):
        try:
            texts[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} must be text in UTF-8, in spite of its name, got: {error}") from error
    return texts


def read_images(files: Sequence[Path], side: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels `(n, side, side)` of some images at once, as gray values.

    Raises:
        UserError: If a file is no image of this size.
    """
    for start in range(0, len(files), CHUNK):
        yield np.stack([_read(file, side) for file in files[start : start + CHUNK]])


def _read(file: Path, side: int) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UserError(f"{file} must be a whole PNG image, got: {error}; {_tell_remedy(side)}") from error
    if pixels.shape != (side, side):
        height, width = pixels.shape
        raise UserError(f"{file} must have {side} x {side} pixels, got {width} x {height}; {_tell_remedy(side)}")
    return pixels


def _tell_remedy(side: int) -> str:
    return f"hyperseq data prepare {DATA_SETS_BY_SIDE[side].name} --replace unpacks the release anew"


def _make_data_set(side: int, *aliases: str, purpose: str) -> DataSet:
    name = f"pathfinder{side}"
    places = [f"{INNER_FOLDER}/{name}", name, f"pathfinder/{name}", f"lra_release/{name}"]
    if side == 128:
        # The release holds this folder twice. The outer copy is known to be faulty; S4 and S5 use the inner one, too.
        places.pop()

    def count_samples(root: Path) -> dict[str, int]:
        found = list_images(root, side)
        if (listed := len(found.files) + found.num_skipped) != NUM_IMAGES:
            raise UserError(
                f"{DATA_SETS_BY_SIDE[side].get_place(root) / HARD} must list {NUM_IMAGES:,} images, got {listed:,}; "
                f"unpack it anew with: {DATA_SETS_BY_SIDE[side].command(root, replace=True)}"
            )
        return {"images": len(found.files), "empty files, left out": found.num_skipped}

    return DataSet(
        name=f"images.{name}",
        folder=".",
        archives=(ARCHIVE,),
        count_samples=count_samples,
        aliases=aliases,
        places=tuple(places),
        holds=HARD,
        members=f"{INNER_FOLDER}/{name}/{HARD}",
        options=("--data.init_args.source", "released"),
        purpose=purpose,
    )


DATA_SETS_BY_SIDE = {
    32: _make_data_set(32, "lra.pathfinder", purpose="Pathfinder of the Long Range Arena, 32 x 32 pixels"),
    64: _make_data_set(64, "lra.pathfinder64", purpose="Pathfinder, 64 x 64 pixels"),
    128: _make_data_set(128, "lra.pathx", purpose="Path-X of the Long Range Arena, 128 x 128 pixels"),
    256: _make_data_set(256, "lra.path256", purpose="Path-256, 256 x 256 pixels"),
}
