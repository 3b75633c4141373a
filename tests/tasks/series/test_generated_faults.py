"""Generated files with one fault each: every fault is refused in one line, and a harmless change changes nothing.

`make test` tries fifty files, `make fuzz` five hundred.
"""

import random
import re
import zipfile

import numpy as np
import pytest

from tasks.errors import UserError
from tasks.series.own import OwnSequences

FAST, MANY = 50, 500


class Table:
    """A table of random sequences, long or wide: a header and rows of cells."""

    def __init__(self, draw):
        self.draw, self.long = draw, draw.random() < 0.5
        count, length = draw.randint(12, 20), draw.randint(4, 7)
        if self.long:
            self.header = ["id", "time", "a", "b", "target"]
            self.rows = [
                [f"s{row}", str(time), repr(draw.gauss(0, 1)), repr(draw.gauss(0, 1)), "up" if row % 2 else "down"]
                for row in range(count)
                for time in range(length)
            ]
        else:
            self.header = ["name", "target", *(f"v{place}" for place in range(length))]
            self.rows = [
                [f"s{row}", "up" if row % 2 else "down", *(repr(draw.gauss(0, 1)) for _ in range(length))]
                for row in range(count)
            ]
        self.values = (2, 4) if self.long else (2, 2 + length)

    def pick(self):
        """Return any row, and the place of any of its values but the last, whose absence would mean a shorter one."""
        return self.draw.choice(self.rows), self.draw.randrange(self.values[0], self.values[1] - 1)

    def put(self, text):
        row, place = self.pick()
        row[place] = text

    def encode(self):
        return ("\n".join(",".join(row) for row in [self.header, *self.rows]) + "\n").encode()


def encoded(change):
    """A fault of the bytes instead of the cells."""
    return lambda table: change(table.encode())


def spoil(table):
    table.put(table.draw.choice(["abc", "1e", "--1", "0x1f", "1.2.3", "None", "1;5", '"1,5"', "½"]))


def drop_cell(table):
    table.draw.choice(table.rows).pop()


def add_cell(table):
    table.draw.choice(table.rows).append("1.0")


def empty_sequence(table):
    if table.long:
        return b"id,time,target\ns0,0,up\ns1,0,down\n"
    row = table.draw.choice(table.rows)
    row[2:] = [""] * len(row[2:])
    return None


def repeat_name(table):
    if table.long:
        # The same time of the same sequence twice.
        table.rows.insert(table.draw.randrange(len(table.rows)), list(table.draw.choice(table.rows)))
    else:
        first, second = table.draw.sample(table.rows, 2)
        first[0] = second[0]


def repeat_column(table):
    table.header[table.values[0]] = table.header[table.values[1] - 1]


def one_class(table):
    place = table.header.index("target")
    for row in table.rows:
        row[place] = "up"


def rare_class(table):
    name, place = table.rows[0][0], table.header.index("target")
    for row in table.rows:
        if row[0] == name:
            row[place] = "rare"


def no_target(table):
    table.header[table.header.index("target")] = "group"


def wrong_split(table):
    table.header.append("split")
    for row in table.rows:
        row.append("holdout" if row[0] == "s3" else "train")


def class_that_training_lacks(table):
    table.header.append("split")
    for row in table.rows:
        row.append("test" if row[table.header.index("target")] == "up" else "train")


def uneven_time(table):
    if not table.long:
        spoil(table)
        return
    name = table.draw.choice(table.rows)[0]
    last = [row for row in table.rows if row[0] == name][-1]
    last[1] = table.draw.choice(["99", "-1", "soon", "2.5", "nan", "inf"])


FAULTS = {
    "a text as a number": spoil,
    "infinity": lambda table: table.put(table.draw.choice(["inf", "-inf", "1e999", "1e39"])),
    "a missing value": lambda table: table.put(table.draw.choice(["", "NaN", "nan"])),
    "a cell less": drop_cell,
    "a cell more": add_cell,
    "no values": empty_sequence,
    "a name or time twice": repeat_name,
    "a column twice": repeat_column,
    "one class": one_class,
    "a class of one sequence": rare_class,
    "no target": no_target,
    "an unknown split": wrong_split,
    "a class that training lacks": class_that_training_lacks,
    "uneven times": uneven_time,
    "no header": encoded(lambda text: text.split(b"\n", 1)[1]),
    "a header alone": encoded(lambda text: text.split(b"\n", 1)[0]),
    "an empty file": encoded(lambda text: b""),
    "semicolons": encoded(lambda text: text.replace(b",", b";")),
    "UTF-16": encoded(lambda text: text.decode().encode("utf-16")),
    "Latin-1": encoded(lambda text: text.replace(b"up", b"\xfcp")),
}
HARMLESS = {
    "a byte order mark": encoded(lambda text: b"\xef\xbb\xbf" + text),
    "CRLF": encoded(lambda text: text.replace(b"\n", b"\r\n")),
    "blank lines": encoded(lambda text: text + b"\n\n"),
    "no last line end": encoded(bytes.rstrip),
    "blanks around cells": encoded(lambda text: text.replace(b",", b" , ")),
}


def write(path, change, seed):
    """Write the table of a seed, changed."""
    table = Table(random.Random(seed))
    text = change(table)
    path.write_bytes(table.encode() if text is None else text)
    return path


def read(path):
    data = OwnSequences(path=path)
    data.setup()
    return data


def try_table(number, folder):
    fault = sorted(FAULTS)[number % len(FAULTS)]
    path = write(folder / "table.csv", FAULTS[fault], number)
    with pytest.raises(UserError) as caught:
        read(path)
    assert re.fullmatch(r"[^\n]+ (must|may) [^\n]+", str(caught.value)), (number, fault, str(caught.value))
    assert [each.name for each in folder.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("number", range(FAST))
def test_a_fault_of_a_table_is_refused_in_one_line_and_leaves_nothing_behind(number, tmp_path):
    try_table(number, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(FAST, MANY))
def test_many_faults_of_tables_are_refused_in_one_line_and_leave_nothing_behind(number, tmp_path):
    try_table(number, tmp_path)


@pytest.mark.parametrize("change", sorted(HARMLESS))
def test_a_harmless_change_of_a_table_changes_nothing(change, tmp_path):
    plain, changed = (read(write(tmp_path / f"{seed}.csv", each, 7)) for seed, each in
                      enumerate((lambda table: None, HARMLESS[change])))  # fmt: skip
    assert plain.sample_names == changed.sample_names and plain.class_names == changed.class_names
    for split in ("train", "val", "test"):
        assert plain.splits[split].index.equal(changed.splits[split].index)
        assert all(a.equal(b) for a, b in zip(plain.splits[split].x, changed.splits[split].x, strict=True))


@pytest.mark.parametrize("number", range(20))
def test_a_damaged_npz_file_is_refused_in_one_line_or_read_as_it_was_written(number, tmp_path):
    draw, path = random.Random(number), tmp_path / "my.npz"
    x = np.random.default_rng(number).normal(size=(20, 1, 6)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(20) % 2)
    wanted = read(path)
    whole = bytearray(path.read_bytes())
    if draw.random() < 0.5:
        path.write_bytes(whole[: draw.randrange(len(whole))])
    else:
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo("x.npy").header_offset + 200
        whole[start + draw.randrange(200)] ^= 1 << draw.randrange(8)
        path.write_bytes(whole)
    try:
        found = read(path)
    except UserError as error:
        assert re.fullmatch(r"[^\n]+ (must|may) [^\n]+", str(error)), (number, str(error))
        return
    assert all(a.equal(b) for a, b in zip(wanted.splits["train"].x, found.splits["train"].x, strict=True))
