"""The published files of ESC-50 (Piczak 2015): 2,000 sounds of 5 seconds, 50 classes, 5 folds."""

from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.speech.published.sound_archives import Sound, read_table


def list_sounds(path: Path) -> list[Sound]:
    """List the sounds by the table of the archive; `UserError` if archive or table are broken."""
    rows = read_table(path, "ESC-50-master/meta/esc50.csv", columns=("filename", "fold", "category"))
    return [Sound(f"ESC-50-master/audio/{row['filename']}", row["category"], row["fold"]) for row in rows]


def count_samples(root: Path) -> dict[str, int]:
    """Count the sounds of each fold."""
    folds = [sound.fold for sound in list_sounds(*DATA_SET.find_archives(root))]
    return {f"fold {fold}": folds.count(fold) for fold in sorted(set(folds))}


DATA_SET = DataSet(
    name="speech.esc50",
    folder="esc50",
    archives=(
        Archive(
            name="ESC-50-master.zip",
            urls=("https://github.com/karoldvl/ESC-50/archive/master.zip",),
            md5="7771e4b9d86d0945acce719c7a59305a",
        ),
    ),
    count_samples=count_samples,
)
