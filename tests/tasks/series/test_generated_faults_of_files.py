"""Generated data with one fault each, for every reader but that of tables: refused in one line, nothing left behind.

`make test` tries forty of them, `make fuzz` four hundred.
"""

import random
import re

import numpy as np
import pytest

from tasks.errors import UserError
from tasks.estimators import SequenceClassifier
from tasks.series.own import OwnSequences
from tests.tasks.series.test_generated_faults import FAULTS as TABLE_FAULTS
from tests.tasks.series.test_generated_faults import Table, encoded

FAST, MANY = 40, 400
WORDS = ["abc", "1e", "--1", "0x1f", "1.2.3", "None", "1;5", "½"]


class Arrays:
    """Random sequences of unequal length as arrays: `x` end to end, and what describes them."""

    def __init__(self, draw):
        self.draw, self.count, self.channels = draw, draw.randint(12, 20), draw.randint(1, 3)
        self.lengths = np.array([draw.randint(3, 7) for _ in range(self.count)])
        numbers = np.random.default_rng(draw.randrange(2**32))
        self.x = numbers.normal(size=(self.channels, self.lengths.sum())).astype(draw.choice(["f4", "f8"]))
        self.y = np.array(["up", "down"])[np.arange(self.count) % 2]
        self.more = {}

    def put(self, value):
        self.x[self.draw.randrange(self.channels), self.draw.randrange(self.x.shape[1])] = value

    def sequences(self):
        """Return a list of arrays `(C, L_i)`."""
        return np.split(self.x, np.cumsum(self.lengths)[:-1], axis=1)

    def named(self):
        return {"x": self.x, "lengths": self.lengths, "y": self.y, **self.more}


def split_of(arrays, **split):
    arrays.more["split"] = np.array([split[each] for each in arrays.y])


def change(**new):
    """Make a fault that replaces arrays by functions of them all."""

    def apply(arrays):
        for name, make in new.items():
            value = make(arrays)
            if name in ("x", "y", "lengths"):
                setattr(arrays, name, value)
            else:
                arrays.more[name] = value

    return apply


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


DATA_FAULTS = {
    "infinity": lambda a: a.put(a.draw.choice([np.inf, -np.inf])),
    "a missing value": lambda a: a.put(np.nan),
    "one class": change(y=lambda a: np.full(a.count, "up")),
    "a class of two sequences": change(y=lambda a: np.array(["rare"] * 2 + list(a.y[2:]))),
    "a class without a name": change(y=lambda a: np.array(["", *a.y[1:]])),
    "classes that are real numbers": change(y=lambda a: np.linspace(0.1, 0.7, a.count)),
    "a class less": change(y=lambda a: a.y[:-1]),
}
ARRAY_FAULTS = {
    **DATA_FAULTS,
    "no sequences": change(x=lambda a: a.x[:, :0], y=lambda a: a.y[:0], lengths=lambda a: a.lengths[:0]),
    "no classes at all": change(y=lambda a: np.zeros((a.count, 0))),
    "a class that training lacks": lambda a: split_of(a, up="train", down="test"),
    "an unknown split": lambda a: split_of(a, up="train", down="holdout"),
    "no training split": lambda a: split_of(a, up="test", down="test"),
    "a split less": lambda a: a.more.update(split=np.array(["train"] * (a.count - 1))),
    "a name twice": lambda a: a.more.update(names=np.array(["p", "p", *map(str, range(2, a.count))])),
    "a position more": change(x=lambda a: np.concatenate([a.x, a.x[:, :1]], axis=1)),
    "an empty sequence": change(lengths=lambda a: np.array([0, a.lengths[:2].sum(), *a.lengths[2:]])),
    "a negative length": change(lengths=lambda a: np.array([-1, a.lengths[:2].sum() + 1, *a.lengths[2:]])),
    "lengths that are real numbers": change(lengths=lambda a: a.lengths + 0.5),
    "lengths of two axes": change(lengths=lambda a: a.lengths[None]),
    "texts as numbers": change(x=lambda a: a.x.astype(str)),
    "complex numbers": change(x=lambda a: a.x + 1j),
    "an axis more": change(x=lambda a: a.x[None]),
    "one number": change(x=lambda a: np.float32(1)),
    "times as numbers": change(x=lambda a: a.x.astype("datetime64[s]")),
    "objects as numbers": change(x=lambda a: objects(a.sequences())),
    "objects as classes": change(y=lambda a: objects(a.y)),
    "classes of three axes": change(y=lambda a: np.zeros((a.count, 1, 1))),
}


def write_npz(draw, folder, fault):
    arrays = Arrays(draw)
    ARRAY_FAULTS[fault](arrays)
    draw.choice([np.savez, np.savez_compressed])(folder / "my.npz", **arrays.named())
    return folder / "my.npz"


def write_npy(draw, folder, fault):
    arrays = Arrays(draw)
    ARRAY_FAULTS[fault](arrays)
    for name, value in arrays.named().items():
        np.save(folder / ("my.npy" if name == "x" else f"my_{name}.npy"), value)
    return folder / "my.npy"


def fit_objects(draw, folder, fault):
    arrays = Arrays(draw)
    x = OBJECT_FAULTS[fault](arrays) or arrays.sequences()
    SequenceClassifier(channels=[4], max_epochs=1).fit(x, list(arrays.y))


def with_sequence(make):
    """Make a fault that replaces one of the list of arrays."""

    def apply(arrays):
        x = arrays.sequences()
        x[arrays.draw.randrange(1, arrays.count)] = make(arrays)
        return x

    return apply


OBJECT_FAULTS = {
    # An estimator trains on all it is given and names classes as they are; scikit-learn itself refuses real numbers.
    **{name: DATA_FAULTS[name] for name in ("infinity", "a missing value", "one class", "a class less")},
    "a channel more in one": with_sequence(lambda a: np.zeros((a.channels + 1, 5))),
    "an empty one": with_sequence(lambda a: np.zeros((a.channels, 0))),
    "texts in one": with_sequence(lambda a: np.full((a.channels, 5), "abc")),
    "a list of lists of different lengths": with_sequence(lambda a: [[1.0, 2.0], [1.0]]),
    "one of three axes": with_sequence(lambda a: np.zeros((a.channels, 5, 1))),
    "none in a list": with_sequence(lambda a: None),
}


class Text:
    """The lines of a `.ts` file, or of a `.txt` file of one channel: a list of channels and a label each."""

    def __init__(self, draw):
        arrays = Arrays(draw)
        self.draw, self.channels = draw, arrays.channels
        self.series = [([[repr(float(v)) for v in channel] for channel in x], label)
                       for x, label in zip(arrays.sequences(), arrays.y, strict=True)]  # fmt: skip
        self.head = ["@problemName my", "@timeStamps false", "@classLabel true up down", "@data"]

    def put(self, word):
        channels, _ = self.draw.choice(self.series)
        values = channels[0]
        values[self.draw.randrange(len(values) - 1)] = word

    def ts(self):
        lines = [":".join([*(",".join(channel) for channel in channels), label]) for channels, label in self.series]
        return "\n".join([*self.head, *lines]).encode()

    def label_first(self):
        return "\n".join(" ".join([label, *channels[0]]) for channels, label in self.series).encode()


def relabel(text, label, *, every=False):
    rows = range(len(text.series)) if every else [text.draw.randrange(len(text.series))]
    for row in rows:
        text.series[row] = (text.series[row][0], label)


def drop_head(text, word):
    text.head = [line for line in text.head if not line.startswith(word)]


TEXT_FAULTS = {
    "a text as a number": lambda t: t.put(t.draw.choice(WORDS)),
    "infinity": lambda t: t.put(t.draw.choice(["inf", "-inf", "1e999"])),
    "a missing value": lambda t: t.put(t.draw.choice(["?", "NaN"])),
    "one class": lambda t: relabel(t, "up", every=True),
    "no sequences": lambda t: t.series.clear(),
}
TS_FAULTS = {
    **TEXT_FAULTS,
    "an unknown label": lambda t: relabel(t, "left"),
    "no label": lambda t: relabel(t, ""),
    "an empty value": lambda t: t.put(""),
    "a value less in a channel": lambda t: t.series[0][0].append(["1.0"] * 99),
    "a channel more": lambda t: t.series[1][0].append(list(t.series[1][0][0])),
    "no @data": lambda t: drop_head(t, "@data"),
    "no header": lambda t: t.head.clear(),
    "time stamps": lambda t: t.head.insert(0, "@timeStamps true"),
}


def write_ts(draw, folder, fault):
    return write_text(draw, folder / "my.ts", TS_FAULTS[fault], Text.ts)


def write_txt(draw, folder, fault):
    return write_text(draw, folder / draw.choice(["my.txt", "my.tsv"]), TXT_FAULTS[fault], Text.label_first)


TXT_FAULTS = {**TEXT_FAULTS, "a label alone": lambda t: t.series[0][0][0].clear()}


def write_text(draw, path, fault, encode):
    text = Text(draw)
    fault(text)
    path.write_bytes(encode(text))
    return path


CELL_FAULTS = {
    "a text as a number": lambda draw, rows: rows[0].__setitem__(0, draw.choice(WORDS)),
    "infinity": lambda draw, rows: rows[-1].__setitem__(0, "inf"),
    "a missing value": lambda draw, rows: rows[0].__setitem__(0, draw.choice(["", "nan"])),
    "a channel more": lambda draw, rows: [row.append("1.0") for row in rows],
    "a channel more in one row": lambda draw, rows: rows[-1].append("1.0"),
    "decimal commas": lambda draw, rows: [row.__setitem__(0, row[0].replace(".", ",")) for row in rows],
    "no rows": lambda draw, rows: rows.clear(),
    "UTF-16": encoded,
}


def write_files(draw, folder, fault):
    """Write a file a sequence, in a folder for each class; one of them is at fault."""
    arrays = Arrays(draw)
    wrong = draw.randrange(1, arrays.count)
    for row, (x, label) in enumerate(zip(arrays.sequences(), arrays.y, strict=True)):
        cells = [[repr(float(value)) for value in step] for step in x.T]
        if row == wrong and fault not in ("UTF-16", "a folder alone"):
            CELL_FAULTS[fault](draw, cells)
        text = "\n".join(",".join(row) for row in cells)
        (folder / label).mkdir(exist_ok=True)
        encoding = "utf-16" if row == wrong and fault == "UTF-16" else "utf-8"
        (folder / label / f"{row}.csv").write_bytes(text.encode(encoding))
    return arrays


def write_folder(draw, folder, fault):
    write_files(draw, folder, fault)
    return folder


def write_index(draw, folder, fault):
    known = fault if fault in CELL_FAULTS else "UTF-16"
    arrays = write_files(draw, folder, known)
    lines = ["path,target", *(f"{label}/{row}.csv,{label}" for row, label in enumerate(arrays.y))]
    if fault == "a file that is not there":
        lines[draw.randrange(1, len(lines))] = "up/none.csv,up"
    if fault == "a file twice":
        lines.append(lines[1])
    (folder / "index.csv").write_text("\n".join(lines))
    return folder / "index.csv"


INDEX_FAULTS = [*CELL_FAULTS, "a file that is not there", "a file twice"]


def write_parquet(draw, folder, fault):
    """Write a table of texts, as a careless export is."""
    polars, table = pytest.importorskip("polars"), Table(draw)
    TABLE_FAULTS[fault](table)
    columns = dict(zip(table.header, map(list, zip(*table.rows, strict=True)), strict=True))
    polars.DataFrame(columns).write_parquet(folder / "my.parquet")
    return folder / "my.parquet"


# A column has its cells, and a name of its own, and encoding is not up to the writer.
PARQUET_FAULTS = ["a text as a number", "infinity", "a missing value", "one class", "a class of one sequence",
                  "no target", "an unknown split", "a class that training lacks", "uneven times"]  # fmt: skip

READERS = {
    "npz": (write_npz, list(ARRAY_FAULTS)),
    "npy": (write_npy, list(ARRAY_FAULTS)),
    "objects": (fit_objects, list(OBJECT_FAULTS)),
    "ts": (write_ts, list(TS_FAULTS)),
    "txt": (write_txt, list(TXT_FAULTS)),
    "folder": (write_folder, list(CELL_FAULTS)),
    "index": (write_index, INDEX_FAULTS),
    "parquet": (write_parquet, PARQUET_FAULTS),
}
CASES = [(reader, fault) for reader, (_, faults) in READERS.items() for fault in faults]


def try_data(number, folder):
    # A number that shares no factor with that of the cases visits all of them, readers mixed.
    reader, fault = CASES[number * 37 % len(CASES)]
    draw = random.Random(number)
    with pytest.raises(UserError) as caught:
        path = READERS[reader][0](draw, folder, fault)
        before = sorted(folder.rglob("*"))
        OwnSequences(path=path).setup()
        pytest.fail(f"{reader} with {fault} was read")
    assert re.fullmatch(r"[^\n]+ (must|may) [^\n]+", str(caught.value)), (reader, fault, str(caught.value))
    assert reader == "objects" or sorted(folder.rglob("*")) == before


def test_every_case_is_visited():
    assert len({number * 37 % len(CASES) for number in range(len(CASES))}) == len(CASES)
    assert len(CASES) <= MANY


@pytest.mark.parametrize("number", range(FAST))
def test_a_fault_is_refused_in_one_line_and_leaves_nothing_behind(number, tmp_path):
    try_data(number, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(FAST, MANY))
def test_many_faults_are_refused_in_one_line_and_leave_nothing_behind(number, tmp_path):
    try_data(number, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(200))
def test_a_damaged_compressed_npz_file_is_refused_or_read_as_it_was_written(number, tmp_path):
    draw, path = random.Random(number), tmp_path / "my.npz"
    np.savez_compressed(path, **Arrays(draw).named())
    data = OwnSequences(path=path)
    data.setup()
    whole = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 3)):
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    path.write_bytes(whole)
    try:
        again = OwnSequences(path=path)
        again.setup()
    except UserError as error:
        assert re.fullmatch(r"[^\n]+ (must|may) [^\n]+", str(error)), (number, str(error))
        return
    assert all(a.equal(b) for a, b in zip(data.splits["train"].x, again.splits["train"].x, strict=True))
