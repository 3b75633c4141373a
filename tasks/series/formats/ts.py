"""The formats of the UCR and UEA archives: `.ts`, and `.txt` or `.tsv` with the label first."""

from pathlib import Path

import numpy as np

from tasks.data.sequences.arrays import Array, Sequences, make_sequences
from tasks.errors import UserError
from tasks.series.formats.text import parse_numbers, read_lines

MISSING = "?"


def read_ts(path: Path) -> Sequences:
    """Read a `.ts` file: lines of channels parted by `:`, of values parted by `,`, with the label last.

    `?` and `NaN` are missing values. `#` and `%` begin comments. Time stamps are refused: positions are even.

    Raises:
        UserError: If the header lacks `@classLabel` or `@targetLabel`, or a line is none of the format.
    """
    labels: set[str] | None = None
    labelled = real = False
    arrays: list[Array] = []
    targets: list[str] = []
    lines = iter(enumerate(read_lines(path), start=1))
    for _, line in lines:
        words = line.split()
        if not words or words[0][0] in "#%\ufeff":
            continue
        if words[0].lower() == "@data":
            break
        if words[0][0] != "@":
            raise UserError(f"{path.name} must have the line @data before the values, got {line[:40]!r}")
        key, values = words[0].lower(), words[1:]
        if key == "@timestamps" and values[:1] == ["true"]:
            raise UserError("timeStamps must be false, got true: resample the series to even steps first")
        if key in ("@classlabel", "@targetlabel"):
            labelled, real = values[:1] == ["true"], key == "@targetlabel"
            labels = set(values[1:]) if labelled and not real else None
    else:
        raise UserError(f"{path.name} must have a line @data, got none")
    for number, line in lines:
        if not line.strip() or line[0] in "#%":
            continue
        *channels, label = line.split(":") if labelled else [*line.split(":"), ""]
        label = label.strip()
        if labels is not None and label not in labels:
            raise UserError(f"line {number} must end with a label of @classLabel, got {label[:40]!r}")
        rows = [parse_numbers(channel.split(","), f"line {number}", missing=MISSING) for channel in channels]
        if len({len(row) for row in rows}) > 1:
            found = " and ".join(str(count) for count in sorted({len(row) for row in rows}))
            raise UserError(f"line {number} must have as many values in each channel, got {found}")
        if arrays and len(rows) != len(arrays[0]):
            raise UserError(f"line {number} must have {len(arrays[0])} channels, got {len(rows)}")
        if not rows:
            raise UserError(f"line {number} must hold values and a label parted by ':', got {line[:40]!r}")
        arrays.append(np.stack(rows))
        targets.append(label)
    if not labelled:
        return make_sequences(arrays)
    return make_sequences(arrays, y=parse_numbers(targets, "the column of targets") if real else np.array(targets))


def read_label_first(path: Path) -> Sequences:
    """Read a `.txt` or `.tsv` file: a line a series, the label and the values parted by blanks or tabs.

    Trailing NaN are the end of a shorter series, as the archive writes series of unequal length.
    """
    arrays, targets = [], []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        label, *words = line.split()
        values = parse_numbers(words, f"line {number}", missing=MISSING)
        filled = np.flatnonzero(~np.isnan(values))
        if not filled.size:
            raise UserError(f"line {number} must hold a label and at least one value, got none")
        arrays.append(values[: filled[-1] + 1])
        targets.append(_plain_label(label))
    return make_sequences(arrays, y=np.array(targets))


def _plain_label(label: str) -> str:
    """Write `1.0000000e+00` as `1`; a text stays as it is."""
    try:
        number = float(label)
    except ValueError:
        return label
    return str(int(number)) if number.is_integer() else label
