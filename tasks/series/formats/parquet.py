"""Parquet tables as the cells that a CSV file of the same table would hold."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.errors import UserError
from tasks.extras import install_command


def read_parquet(path: Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the names of the columns, and each row with its place: `row 1`, then its cells.

    Numbers keep all their digits, a missing value is an empty cell, a time is an ISO date, a duration its seconds.
    Polars reads the file where it is installed, pandas otherwise. The index of a pandas frame is a column if it has a
    name.

    Raises:
        UserError: If neither is installed, the file is no Parquet file, it has no rows, or a column holds something
            else than numbers, texts and times.
    """
    columns = _read_columns(path)
    cells = [[as_cell(value, name) for value in values] for name, values in columns.items()]
    rows = [(f"row {number}", list(row)) for number, row in enumerate(zip(*cells, strict=True), start=1)]
    if not rows:
        raise UserError(f"{path.name} must hold rows, got none")
    return list(columns), rows


def _read_columns(path: Path) -> dict[str, Iterable[Any]]:
    read = {"polars": _read_by_polars, "pandas": _read_by_pandas}
    installed = [name for name in read if find_spec(name) is not None]
    if not installed:
        raise UserError(f"{path.name} must be read by polars or pandas, got neither: {install_command('parquet')}")
    try:
        return read[installed[0]](path)
    except ImportError:
        # Pandas without an engine of its own for Parquet.
        raise UserError(
            f"{path.name} must be read by polars, or by pandas with pyarrow, got pandas alone: "
            f"{install_command('parquet')}"
        ) from None
    except Exception as error:  # each reader has exceptions of its own for a broken file
        reason = str(error).strip().split("\n")[0][:120]
        raise UserError(f"{path.name} must be a whole Parquet file, got {reason!r} from {installed[0]}") from error


def _read_by_polars(path: Path) -> dict[str, Iterable[Any]]:
    frame = import_module("polars").read_parquet(path, glob=False, hive_partitioning=False)
    # Where pandas keeps an index without a name.
    return {name: frame[name].to_list() for name in frame.columns if not name.startswith("__index_level_")}


def _read_by_pandas(path: Path) -> dict[str, Iterable[Any]]:
    pandas = import_module("pandas")
    frame = pandas.read_parquet(path)
    columns = {str(name): frame[name] for name in frame.columns}
    columns |= {str(name): frame.index.get_level_values(name) for name in frame.index.names if name is not None}
    return {name: values.astype(object).where(~pandas.isna(values), None).tolist() for name, values in columns.items()}


def as_cell(value: Any, column: str) -> str:
    """Write a value of a column as CSV files do; `UserError` if it is no number, text or time."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return repr(value + 0)  # true is 1
    if isinstance(value, str | Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return repr(value.total_seconds())
    raise UserError(f"column {column!r} must hold numbers, texts or times, got {type(value).__name__}")
