"""Tables, CSV or Parquet: long (a row a time step), wide (a row a sequence), an index of files, or folders of files."""

import csv
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from tasks.data.sequences.arrays import Array, Sequences, make_sequences
from tasks.errors import UserError
from tasks.series.formats.parquet import read_parquet
from tasks.series.formats.text import parse_numbers, read_lines

TARGET, SPLIT, GROUP = "target", "split", "group"
DESCRIBING = (TARGET, SPLIT, GROUP)

Rows = list[tuple[str, list[str]]]
"""Cells, each row with its place in the file, such as `line 3`, for the messages."""


def read_table(path: Path, *, time_step: float | None = None) -> Sequences:
    """Read a table, CSV or Parquet; the names of its columns tell its kind.

    With `id` and `time`, a row is a time step and every other column a channel. With `path`, a row names a file of one
    sequence, relative to the table. Otherwise a row is a sequence of one channel: `name` is optional, the other columns
    are the values in order, and empty cells at the end are those of a shorter sequence. `target`, `split` and `group`
    describe a sequence in each kind of table. Empty cells elsewhere are missing values.

    Args:
        path: The table.
        time_step: Interpolate the channels of a long table linearly at times of this step, from the first time of each
            sequence to its last; in the units of the times, seconds for dates. `None`: times must be even.

    Raises:
        UserError: If the header is missing, a cell is no number, or times are not in even steps; the message names the
            line or row.
    """
    if time_step is not None and not 0 < time_step < float("inf"):
        raise UserError(f"time_step must be positive and finite, got {time_step:g}")
    header, rows = read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if "path" not in header and "id" in header and "time" in header:
        return _read_long(header, rows, time_step)
    if time_step is not None:
        raise UserError(f"time_step must be null for data without a column of times, got {time_step:g} for {path.name}")
    return _read_index(path, header, rows) if "path" in header else _read_wide(header, rows)


def read_folder(path: Path) -> Sequences:
    """Read `<path>/<class>/<name>.csv`: a row is a time step, a column a channel.

    All files have the same header, or none has one.
    """
    files = sorted(path.glob("*/*.csv"))
    if not files:
        raise UserError(f"path must hold folders of .csv files, one folder a class, got {path} without */*.csv")
    targets = [file.parent.name for file in files]
    names = [file.relative_to(path).as_posix() for file in files]
    return make_sequences(_read_files(files, names), y=np.array(targets), names=names)


def _read_csv(path: Path) -> tuple[list[str], Rows]:
    """Return the header, and each row with its line."""
    lines = read_lines(path)
    numbered = enumerate(csv.reader(lines), start=1)
    rows = [(f"line {number}", row) for number, row in numbered if any(map(str.strip, row))]
    if not rows:
        raise UserError(f"{path.name} must hold a header and rows, got an empty file")
    _, header = rows.pop(0)
    header = [name.strip() for name in header]
    if len(header) == 1 and ";" in header[0]:
        raise UserError(f"{path.name} must part cells by commas, with decimal points, got ';' in the header")
    if any(_is_number(name) for name in header[:2]) and all(_is_number(name) for name in header):
        raise UserError(f"{path.name} must begin with a header, got numbers: {','.join(header)[:40]!r}")
    if twice := [name for name in header if header.count(name) > 1]:
        raise UserError(f"columns must have names of their own, got {twice[0]!r} twice")
    if not rows:
        raise UserError(f"{path.name} must hold rows, got a header alone")
    for place, row in rows:
        if len(row) != len(header):
            raise UserError(f"{place} must have {len(header)} cells, as the header, got {len(row)}")
    return header, rows


def _read_wide(header: list[str], rows: Rows) -> Sequences:
    columns = [column for column, name in enumerate(header) if name not in ("name", *DESCRIBING)]
    arrays = []
    for place, row in rows:
        values = parse_numbers([row[column] for column in columns], place)
        filled = np.flatnonzero(~np.isnan(values))
        if not filled.size:
            raise UserError(f"{place} must hold at least one value, got none")
        arrays.append(values[: filled[-1] + 1])
    describing = {name: [row[header.index(name)].strip() for _, row in rows] for name in header if name in DESCRIBING}
    names = [row[header.index("name")].strip() for _, row in rows] if "name" in header else None
    return _label(arrays, describing, names)


def _read_long(header: list[str], rows: Rows, time_step: float | None) -> Sequences:
    channels = [column for column, name in enumerate(header) if name not in ("id", "time", *DESCRIBING)]
    if not channels:
        raise UserError("a long table must have a column for each channel, got id and time alone")
    by_id: dict[str, Rows] = {}
    for place, row in rows:
        by_id.setdefault(row[header.index("id")].strip(), []).append((place, row))
    arrays: list[Array] = []
    describing: dict[str, list[str]] = {name: [] for name in header if name in DESCRIBING}
    for name, members in by_id.items():
        times = _read_times(name, [(place, row[header.index("time")].strip()) for place, row in members],
                            even=time_step is None)  # fmt: skip
        steps = np.stack([parse_numbers([row[column] for column in channels], place) for place, row in members], 1)
        arrays.append(steps if time_step is None else _interpolate(times, steps, time_step))
        for column, values in describing.items():
            found = sorted({row[header.index(column)].strip() for _, row in members})
            if len(found) > 1:
                raise UserError(
                    f"{column} must be the same in all rows of an id, got {found[0]!r} and {found[1]!r} for {name!r}"
                )
            values.append(found[0])
    return _label(arrays, describing, list(by_id))


def _read_index(path: Path, header: list[str], rows: Rows) -> Sequences:
    names = [row[header.index("path")].strip() for _, row in rows]
    files = [path.parent / name for name in names]
    for (place, _), name, file in zip(rows, names, files, strict=True):
        if not file.is_file():
            raise UserError(f"{place} must name a file, got {name!r} and there is no {file}")
    return _label(_read_files(files, names), {column: [row[header.index(column)].strip() for _, row in rows]
                           for column in header if column in DESCRIBING}, names)  # fmt: skip


def _read_files(files: list[Path], names: list[str]) -> list[Array]:
    """Read one sequence a file; another header would mean other channels, or that a first value is no number."""
    arrays: list[Array] = []
    first = ""
    for file, name in zip(files, names, strict=True):
        array, header = _read_one(file, name)
        if not arrays:
            first = header
        if header != first:
            raise UserError(
                f"{name} must begin as {names[0]}, with {_describe_header(first)}, got {_describe_header(header)}"
            )
        arrays.append(array)
    return arrays


def _describe_header(header: str) -> str:
    return f"the header {header[:40]!r}" if header else "no header"


def _read_one(path: Path, name: str) -> tuple[Array, str]:
    """Read one sequence `(C, L)`, a row a time step and a column a channel; and its header, empty if it has none."""
    rows = [(f"line {number}", row) for number, row in enumerate(csv.reader(read_lines(path)), start=1)]
    while rows and not rows[-1][1]:
        del rows[-1]
    # In a file of one channel it would be a missing value, and leaving it out would move all that follows.
    if blank := [place for place, row in rows if not row]:
        raise UserError(f"{name}, {blank[0]}, must hold the values of a time step, got an empty line")
    header = ""
    if rows and not any(_is_number(cell) or not cell.strip() for cell in rows[0][1]):
        header = ",".join(cell.strip() for cell in rows.pop(0)[1])
    if not rows:
        raise UserError(f"{name} must hold at least one time step, got none")
    for place, row in rows:
        if len(row) != len(rows[0][1]):
            raise UserError(f"{name}, {place}, must have {len(rows[0][1])} cells, as the first, got {len(row)}")
    try:
        return np.stack([parse_numbers(row, place) for place, row in rows], axis=1), header
    except UserError as error:
        raise UserError(f"{name}, {error}") from error


def _label(arrays: list[Array], describing: dict[str, list[str]], names: list[str] | None) -> Sequences:
    targets = describing.get(TARGET)
    return make_sequences(
        arrays,
        y=None if targets is None else np.array(targets),
        names=names,
        split=describing.get(SPLIT),
        group=describing.get(GROUP),
    )


def _read_times(name: str, times: list[tuple[str, str]], *, even: bool) -> Array:
    values = np.array([_parse_time(text, place) for place, text in times])
    if (strange := np.flatnonzero(~np.isfinite(values))).size:
        place, text = times[strange[0]]
        raise UserError(f"{place} must hold a number or an ISO date as time, got {text!r}")
    steps = np.diff(values)
    if (backwards := np.flatnonzero(steps <= 0)).size:
        raise UserError(
            f"times must rise, got {times[backwards[0] + 1][1]!r} after {times[backwards[0]][1]!r} for {name!r}"
        )
    if even and steps.size and (uneven := np.flatnonzero(np.abs(steps - steps[0]) > 1e-3 * steps[0])).size:
        raise UserError(
            f"times must rise by equal steps, got a step of {steps[uneven[0]]:g} after {steps[0]:g} for {name!r} at "
            f"{times[uneven[0] + 1][0]}: data.time_step interpolates at even times"
        )
    return values


def _interpolate(times: Array, values: Array, time_step: float) -> Array:
    """Interpolate `values`, `(C, L)`, at even times; beside a missing value the result is missing, too."""
    # A last time within rounding of a step belongs to the sequence.
    count = int(np.floor((times[-1] - times[0]) / time_step + 1e-6)) + 1
    even = np.minimum(times[0] + time_step * np.arange(count), times[-1])
    return np.stack([np.interp(even, times, channel) for channel in values])


def _parse_time(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise UserError(f"{place} must hold a number or an ISO date as time, got {text[:40]!r}") from None
        # As UTC: by the clock of the machine, days of 23 hours would be uneven steps.
        return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
