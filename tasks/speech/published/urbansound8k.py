"""The published files of UrbanSound8K (Salamon et al. 2014): 8,732 sounds of up to 4 seconds, 10 classes, 10 folds."""

from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.speech.published.sound_archives import Sound, read_table


def list_sounds(path: Path) -> list[Sound]:
    """List the sounds by the table of the archive; `UserError` if archive or table are broken."""
    rows = read_table(path, "UrbanSound8K/metadata/UrbanSound8K.csv", columns=("slice_file_name", "fold", "class"))
    return [
        Sound(f"UrbanSound8K/audio/fold{row['fold']}/{row['slice_file_name']}", row["class"], row["fold"])
        for row in rows
    ]


def count_samples(root: Path) -> dict[str, int]:
    """Count the sounds of each fold."""
    folds = [sound.fold for sound in list_sounds(*DATA_SET.find_archives(root))]
    return {f"fold {fold}": folds.count(fold) for fold in sorted(set(folds), key=int)}


DATA_SET = DataSet(
    name="speech.urbansound8k",
    folder="urbansound8k",
    archives=(
        Archive(
            name="UrbanSound8K.tar.gz",
            urls=("https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",),
            md5="9aa69802bbf37fb986f71ec1483a196e",
        ),
    ),
    count_samples=count_samples,
)
