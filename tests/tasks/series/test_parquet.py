"""A Parquet table is read as the CSV file of the same table, by polars or by pandas, whichever is installed."""

import re
from datetime import datetime, timedelta, timezone
from importlib import import_module

import pytest

from tasks.errors import UserError
from tasks.series.formats import parquet
from tasks.series.formats.reading import read_sequences
from tasks.series.own import OwnSequences

START = datetime(2020, 3, 28, 22, tzinfo=timezone.utc)
LONG = {
    "id": [7, 7, 8, 8],
    "time": [START, START + timedelta(days=1), START, START + timedelta(days=1)],
    "a": [0.1, 1e-30, None, 4.0],
    "b": [True, False, True, True],
    "target": ["up", "up", "down", "down"],
}
WIDE = {"name": ["p", "q"], "target": [1, 2], "t0": [1.5, 2.0], "t1": [0.1, None]}


@pytest.fixture(params=["polars", "pandas"])
def write(request, monkeypatch):
    """Return what writes a table as a Parquet file, where one reader alone is installed."""
    library = pytest.importorskip(request.param)
    if request.param == "pandas":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(parquet, "find_spec", lambda name: name == request.param or None)

    def write_table(path, table):
        frame = library.DataFrame(table)
        frame.write_parquet(path) if request.param == "polars" else frame.to_parquet(path)
        return path

    return write_table


@pytest.mark.parametrize("table", [LONG, WIDE], ids=["long", "wide"])
def test_a_table_is_read_as_the_csv_file_that_holds_it(tmp_path, write, table):
    found = read_sequences(write(tmp_path / "my.parquet", table))
    rows = zip(*([parquet.as_cell(value, "") for value in column] for column in table.values()), strict=True)
    (tmp_path / "my.csv").write_text("\n".join(",".join(row) for row in [table, *rows]))
    wanted = read_sequences(tmp_path / "my.csv")
    assert found.names == wanted.names and found.y.tolist() == wanted.y.tolist()
    for ours, theirs in zip(found.x, wanted.x, strict=True):
        assert ours.nan_to_num(nan=-1).equal(theirs.nan_to_num(nan=-1))


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({**LONG, "a": ["1", "2", "x", "4"]}, "row 3 must hold numbers, got 'x' as value 1"),
        ({**LONG, "time": [0, 1, 1, 1]}, "times must rise, got '1' after '1' for '8'"),
        ({**LONG, "a": [0.0, float("inf"), 0.0, 0.0]}, "x must hold no infinity, got 1, the first in '7' at channel 0"),
        ({**WIDE, "t0": [[1.0], [2.0]]}, "column 't0' must hold numbers, texts or times, got "),
        ({**WIDE, "t0": [None, 1.0], "t1": [None, 1.0]}, "row 1 must hold at least one value, got none"),
        ({"target": [], "t0": []}, "my.parquet must hold rows, got none"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_by_row(tmp_path, write, table, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        read_sequences(write(tmp_path / "my.parquet", table))


def test_a_file_that_ends_early_or_is_none_is_refused(tmp_path, write):
    path = write(tmp_path / "my.parquet", WIDE)
    whole = path.read_bytes()
    for content in (b"", b"id,time\n", whole[: len(whole) // 2], whole[:-9] + whole[-8:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="^my.parquet must be a whole Parquet file, got [^\n]+$"):
            read_sequences(path)


def test_the_index_of_a_pandas_frame_is_a_column_if_it_has_a_name(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(parquet, "find_spec", lambda name: name == "pandas" or None)
    pandas.DataFrame(WIDE).set_index("name").to_parquet(tmp_path / "named.parquet")
    pandas.DataFrame(WIDE, index=[5, 9]).drop(columns="name").to_parquet(tmp_path / "bare.parquet")
    assert read_sequences(tmp_path / "named.parquet").names == ("p", "q")
    assert [x.shape for x in read_sequences(tmp_path / "bare.parquet").x] == [(1, 2), (1, 1)]


@pytest.mark.parametrize(("installed", "found"), [((), "got neither"), (("pandas",), "got pandas alone")])
def test_without_a_reader_the_message_tells_how_to_install_one(tmp_path, monkeypatch, installed, found):
    monkeypatch.setattr(parquet, "find_spec", lambda name: name in installed or None)
    monkeypatch.setattr(parquet, "import_module", lambda name: import_module("no_engine_for_parquet"))
    (tmp_path / "my.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=f"^my.parquet must be read by polars.*{found}: pip install"):
        OwnSequences(path=tmp_path / "my.parquet").setup()
