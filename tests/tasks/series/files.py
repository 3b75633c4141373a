"""Small files in the formats that the configs of series read."""

import numpy as np


def write_archive(root, *, data_set, classes, channels, lengths, label_first=False):
    """Write the two splits of an archive: each class once for each length."""
    random = np.random.default_rng(0)
    folder = root / data_set
    folder.mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        if label_first:
            rows = [f"{label}.0 " + " ".join(map(str, random.normal(size=n))) for label in classes for n in lengths]
            (folder / f"{data_set}_{part}.txt").write_text("\n".join(rows) + "\n")
            continue
        rows = [
            ":".join([*(",".join(map(str, random.normal(size=n))) for _ in range(channels)), str(label)])
            for label in classes
            for n in lengths
        ]
        head = f"@problemName {data_set}\n@classLabel true {' '.join(map(str, classes))}\n@data\n"
        (folder / f"{data_set}_{part}.ts").write_text(head + "\n".join(rows) + "\n")


def write_own(root):
    """Write `my.npz` and `my_numbers.npz`: sequences of unequal length, with two classes and with numbers."""
    random = np.random.default_rng(0)
    lengths = random.integers(5, 12, size=40)
    x = random.normal(size=(2, lengths.sum()))
    root.mkdir(parents=True, exist_ok=True)
    np.savez(root / "my.npz", x=x, lengths=lengths, y=np.arange(40) % 2)
    np.savez(root / "my_numbers.npz", x=x, lengths=lengths, y=random.normal(size=40))


WRITERS = (
    write_own,
    lambda root: write_archive(root, data_set="ACSF1", classes=range(3), channels=1, lengths=[15, 15]),
    lambda root: write_archive(root, data_set="PLAID", classes=range(3), channels=1, lengths=[9, 5]),
    lambda root: write_archive(root, data_set="JapaneseVowels", classes=range(1, 4), channels=12, lengths=range(5, 15)),
    lambda root: write_archive(
        root, data_set="PigCVP", classes=range(1, 4), channels=1, lengths=[15, 15], label_first=True
    ),
)
