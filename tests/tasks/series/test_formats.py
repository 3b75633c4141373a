import re
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import UserError
from tasks.series.formats.reading import read_sequences

TS_HEADER = "# a comment\n@problemName Two\n@timeStamps false\n@univariate false\n@classLabel true up down\n@data\n"


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def plain(sequences):
    return [np.round(each.numpy(), 6).tolist() for each in sequences.x]


# Arrays.


def test_npz_holds_sequences_end_to_end_with_all_that_describes_them(tmp_path):
    path = tmp_path / "my.npz"
    np.savez(path, x=np.arange(8.0).reshape(2, 4), lengths=[3, 1], y=["a", "b"], names=["p", "q"], group=[1, 2])
    told = read_sequences(path)
    assert plain(told) == [[[0, 1, 2], [4, 5, 6]], [[3], [7]]]
    assert (told.names, told.group, told.y.tolist()) == (("p", "q"), ("1", "2"), ["a", "b"])


def test_npy_files_lie_beside_each_other(tmp_path):
    np.save(tmp_path / "my.npy", np.arange(8.0).reshape(2, 4))
    np.save(tmp_path / "my_y.npy", [1, 0])
    told = read_sequences(tmp_path / "my.npy")
    assert plain(told) == [[[0, 1, 2, 3]], [[4, 5, 6, 7]]] and told.y.tolist() == [1, 0]
    np.save(tmp_path / "my_lengths.npy", [1, 3])
    np.save(tmp_path / "my_y.npy", [1, 0])
    assert [each.shape for each in read_sequences(tmp_path / "my.npy").x] == [(2, 1), (2, 3)]


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"X": np.zeros((2, 3))}, "my.npz must hold an array x, got X"),
        ({"x": np.zeros((2, 3)), "label": [1, 2]}, "my.npz may hold x, y, lengths, names, split, group, got label"),
        (
            {"x": np.array([np.zeros(2), np.zeros(3)], dtype=object)},
            "my.npz must hold arrays of numbers or texts, got Py",
        ),
        ({"x": np.zeros((2, 3)), "y": [1]}, "y must have one entry a sequence, got 1 for 2 sequences"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, arrays, fault):
    np.savez(tmp_path / "my.npz", **arrays)
    with pytest.raises(UserError, match=re.escape(fault)):
        read_sequences(tmp_path / "my.npz")


@pytest.mark.parametrize("name", ["my.npz", "my.npy"])
def test_files_that_end_early_are_refused(tmp_path, name):
    np.savez(tmp_path / "my.npz", x=np.zeros((9, 9)))
    np.save(tmp_path / "my.npy", np.zeros((9, 9)))
    path = tmp_path / name
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=re.escape(name)):
            read_sequences(path)


# The formats of the archive.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ts_has_channels_of_unequal_length_and_missing_values(tmp_path, encoding, end):
    text = (TS_HEADER + "1,2,?:4,5,NaN:up\n\n1.5E-1:2:down\n").replace("\n", end)
    told = read_sequences(written(tmp_path / "my.ts", text, encoding))
    assert [x.shape for x in told.x] == [(2, 3), (2, 1)] and told.y.tolist() == ["up", "down"]
    assert told.x[0].isnan().tolist() == [[False, False, True]] * 2 and told.x[1].flatten().tolist() == [
        np.float32(0.15),
        2,
    ]


def test_ts_targets_may_be_numbers_or_absent(tmp_path):
    head = TS_HEADER.replace("@classLabel true up down", "@targetLabel true")
    assert read_sequences(written(tmp_path / "a.ts", head + "1,2:0.5\n")).y.tolist() == [0.5]
    head = TS_HEADER.replace("@classLabel true up down", "@classLabel false")
    assert read_sequences(written(tmp_path / "b.ts", head + "1,2:3,4\n")).y is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1,2:up\n", "my.ts must have the line @data before the values, got '1,2:up'"),
        ("@problemName Two\n", "my.ts must have a line @data, got none"),
        (TS_HEADER + "1,2:left\n", "line 7 must end with a label of @classLabel, got 'left'"),
        (TS_HEADER + "1,x:up\n", "line 7 must hold numbers, got 'x' as value 2"),
        (TS_HEADER + "1,2:3:up\n", "line 7 must have as many values in each channel, got 1 and 2"),
        (TS_HEADER + "1:2:up\n1:up\n", "line 8 must have 2 channels, got 1"),
        (TS_HEADER + "up\n", "line 7 must hold values and a label parted by ':', got 'up'"),
        (TS_HEADER, "x must hold at least 1 sequence, got none"),
        ("@timeStamps true\n@data\n", "timeStamps must be false, got true"),
    ],
)
def test_ts_files_that_break_the_format_are_refused(tmp_path, text, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        read_sequences(written(tmp_path / "my.ts", text))


def test_label_first_files_may_end_early_and_name_classes_as_numbers(tmp_path):
    told = read_sequences(written(tmp_path / "my.txt", "  1.0000000e+00  2.5 3\r\n  2.0e+00 1 NaN\r\n"))
    assert plain(told) == [[[2.5, 3]], [[1]]] and told.y.tolist() == ["1", "2"]
    assert read_sequences(written(tmp_path / "my.tsv", "a\t1\t2\nb\t3\t4\n")).y.tolist() == ["a", "b"]
    with pytest.raises(UserError, match="line 2 must hold a label and at least one value, got none"):
        read_sequences(written(tmp_path / "my.txt", "1 2\n2\n"))
    # Commas may be decimal points: they part nothing.
    with pytest.raises(UserError, match="line 1 must hold numbers, got '2,5' as value 1"):
        read_sequences(written(tmp_path / "my.txt", "1 2,5 3\n"))


# Tables.


def test_a_long_table_has_a_row_a_time_step(tmp_path):
    text = "id,time,a,b,target\np,0,1,2,up\np,1,3,,up\nq,2020-01-01,5,6,down\nq,2020-01-02,7,8,down\n"
    told = read_sequences(written(tmp_path / "my.csv", text, "utf-8-sig"))
    assert told.names == ("p", "q") and told.y.tolist() == ["up", "down"]
    assert told.x[1].tolist() == [[5, 7], [6, 8]] and told.x[0][0].tolist() == [1, 3] and told.x[0][1].isnan()[1]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")
def test_days_are_even_steps_where_clocks_are_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        text = "id,time,a\np,2020-03-28,1\np,2020-03-29,2\np,2020-03-30,3\n"
        assert plain(read_sequences(written(tmp_path / "my.csv", text))) == [[[1, 2, 3]]]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_wide_table_has_a_row_a_sequence(tmp_path):
    told = read_sequences(written(tmp_path / "my.csv", "name,target,t0,t1,t2\r\np,up,1,,3\r\nq,down,4,5,\r\n"))
    assert [x.shape for x in told.x] == [(1, 3), (1, 2)] and told.names == ("p", "q")
    assert told.x[0].isnan().tolist() == [[False, True, False]] and told.y.tolist() == ["up", "down"]


def test_an_index_names_files_and_a_folder_names_classes(tmp_path):
    for name, text in {"up/a.csv": "c1,c2\n1,2\n3,4\n", "down/b.csv": "c1, c2\n5,6\n\n"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    told = read_sequences(tmp_path)
    assert told.names == ("down/b.csv", "up/a.csv") and told.y.tolist() == ["down", "up"]
    assert plain(told) == [[[5], [6]], [[1, 3], [2, 4]]]
    index = written(tmp_path / "index.csv", "path,target,split,group\nup/a.csv,x,train,g\ndown/b.csv,y,test,h\n")
    told = read_sequences(index)
    assert (told.names, told.split, told.group) == (("up/a.csv", "down/b.csv"), ("train", "test"), ("g", "h"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "my.csv must hold a header and rows, got an empty file"),
        ("a,b\n", "my.csv must hold rows, got a header alone"),
        ("1,2\n3,4\n", "my.csv must begin with a header, got numbers: '1,2'"),
        ("t0;t1\n1,5;2\n", "my.csv must part cells by commas, with decimal points, got ';' in the header"),
        ("a,a\n1,2\n", "columns must have names of their own, got 'a' twice"),
        ("t0,t1\n1,2,3\n", "line 2 must have 2 cells, as the header, got 3"),
        ("target,t0\nup,x\n", "line 2 must hold numbers, got 'x' as value 1"),
        ("target,t0\nup,\n", "line 2 must hold at least one value, got none"),
        ("name,t0\np,1\np,2\n", "names must differ, got 'p' twice"),
        ("id,time\np,0\n", "a long table must have a column for each channel, got id and time alone"),
        ("id,time,a\np,1,0\np,0,0\n", "times must rise, got '0' after '1' for 'p'"),
        ("id,time,a\np,0,0\np,0,0\n", "times must rise, got '0' after '0' for 'p'"),
        (
            "id,time,a\np,0,0\np,1,0\np,3,0\n",
            "times must rise by equal steps, got a step of 2 after 1 for 'p' at line 4: data.time_step ",
        ),
        ("id,time,a\np,0,0\np,nan,0\n", "line 3 must hold a number or an ISO date as time, got 'nan'"),
        ("id,time,a\np,noon,0\n", "line 2 must hold a number or an ISO date as time, got 'noon'"),
        (
            "id,time,a,target\np,0,0,x\np,1,0,y\n",
            "target must be the same in all rows of an id, got 'x' and 'y' for 'p'",
        ),
        ("path,target\nnone.csv,x\n", "line 2 must name a file, got 'none.csv' and there is no"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tmp_path, text, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        read_sequences(written(tmp_path / "my.csv", text))


@pytest.mark.parametrize("name", ["my.csv", "my.ts", "my.txt"])
def test_text_of_another_encoding_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=f"{name} must be UTF-8 text, got byte 0xfc at 1"):
        read_sequences(written(tmp_path / name, "fünf", "latin-1"))


def test_a_file_of_an_index_is_named_in_its_error(tmp_path):
    written(tmp_path / "a.csv", "1,2\n3\n")
    written(tmp_path / "b.csv", "1,2\nx,4\n")
    written(tmp_path / "c.csv", "1\n\n3\n")
    written(tmp_path / "d.csv", "a,b\n1,2\n")
    written(tmp_path / "e.csv", "b,a\n1,2\n")
    written(tmp_path / "f.csv", "1,2\n")
    for names, fault in {
        "a": "a.csv, line 2, must have 2 cells",
        "b": "b.csv, line 2 must hold numbers, got 'x'",
        "c": "c.csv, line 2, must hold the values of a time step, got an empty line",
        "de": "e.csv must begin as d.csv, with the header 'a,b', got the header 'b,a'",
        "fd": "d.csv must begin as f.csv, with no header, got the header 'a,b'",
    }.items():
        with pytest.raises(UserError, match=re.escape(fault)):
            read_sequences(written(tmp_path / "index.csv", "path,target\n" + "".join(f"{n}.csv,x\n" for n in names)))


def test_what_is_no_file_of_sequences_is_refused(tmp_path):
    for path, fault in {
        tmp_path / "none.npz": "path must lead to a file or a folder, got ",
        written(tmp_path / "my.xls", "x"): "path must end with one of .npz, .npy, .ts, .txt, .tsv, .csv, .parquet, got",
        tmp_path: "path must hold folders of .csv files, one folder a class, got ",
    }.items():
        with pytest.raises(UserError, match=re.escape(fault)):
            read_sequences(path)


CELLS = st.sampled_from(
    ["", "?", "NaN", "1", "2.5", "-1e300", "inf", "x", "id", "time", "target", "path", "1,5", "ü", "@data"]
)
SEPARATORS = st.sampled_from([",", ";", ":", " ", "\t", ""])
TEXTS = st.lists(st.tuples(CELLS, SEPARATORS), max_size=12).map(lambda pairs: "".join(map("".join, pairs)))
FILES = st.lists(TEXTS, max_size=5).map("\n".join)


@settings(max_examples=40, deadline=None)
@given(
    suffix=st.sampled_from([".csv", ".ts", ".txt", ".tsv", ".npz", ".npy"]),
    head=st.sampled_from(["", TS_HEADER, "id,time,a,target\n", "target,t0,t1\n"]),
    content=st.one_of(FILES.map(str.encode), st.binary(max_size=60)),
)
def test_any_file_is_read_or_refused_in_one_line(tmp_path_factory, suffix, head, content):
    path = tmp_path_factory.mktemp("any") / f"my{suffix}"
    path.write_bytes(head.encode() + content)
    try:
        told = read_sequences(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert len(told) and not told.x.values.isinf().any() and all(each.numel() for each in told.x)


def test_uneven_times_are_interpolated_at_even_ones_when_asked(tmp_path):
    text = "id,time,a,b\np,0,0,5\np,1,2,5\np,4,8,\nq,2020-01-01T00:00:00,1,1\nq,2020-01-01T00:00:05,2,3\nr,7,9,9\n"
    told = read_sequences(written(tmp_path / "my.csv", text), time_step=2)
    assert told.x.lengths.tolist() == [3, 3, 1]
    assert told.x[0][0].tolist() == [0, 4, 8] and told.x[0][1].isnan().tolist() == [False, True, True]
    torch.testing.assert_close(told.x[1], torch.tensor([[1, 1.4, 1.8], [1, 1.8, 2.6]]))
    assert told.x[2].tolist() == [[9], [9]]


def test_even_times_of_the_step_are_left_as_they_are(tmp_path):
    path = written(tmp_path / "my.csv", "id,time,a\n" + "".join(f"p,{0.1 * row},{row**2}\n" for row in range(23)))
    torch.testing.assert_close(read_sequences(path, time_step=0.1).x[0], read_sequences(path).x[0])


@pytest.mark.parametrize(
    ("name", "text", "step", "fault"),
    [
        ("my.csv", "id,time,a\np,0,0\n", 0, "time_step must be positive and finite, got 0"),
        ("my.csv", "id,time,a\np,0,0\n", float("nan"), "time_step must be positive and finite, got nan"),
        ("my.csv", "a,b\n0,0\n", 2, "time_step must be null for data without a column of times, got 2 for my.csv"),
        ("my.txt", "1 2 3\n", 2, "time_step must be null for data without a column of times, got 2 for my.txt"),
    ],
)
def test_a_step_that_means_nothing_is_refused(tmp_path, name, text, step, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        read_sequences(written(tmp_path / name, text), time_step=step)
