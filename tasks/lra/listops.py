"""ListOps: nested operations on digits, 500 to 2,000 symbols long (Long Range Arena)."""

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.data.batches import Batch, TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.ragged import RaggedSequences
from tasks.data.tokens import END, NUM_SPECIALS, order_by_frequency, read_text
from tasks.errors import UserError, check_at_least
from tasks.lra.generated_listops import END as CLOSING
from tasks.lra.generated_listops import LONGEST, MIN, SHORTEST, SYMBOLS, take_expressions
from tasks.lra.published.listops import find_files, read_split, split_symbols

NUM_VALIDATION = NUM_TEST = 2000
FEWEST_LONGEST = 100
"""Below, there are too few distinct expressions to draw from."""
ONE_EXPRESSION = "one expression: an operator, its arguments and its closing bracket"
SHOWN = 40
"""Letters of a broken expression that a message shows."""
Source = Literal["generated", "released"]


class ListOps(InMemoryDataModule):
    """Evaluate an expression of MIN, MAX, MED and SM (sum modulo 10): 96,000 / 2,000 / 2,000 samples, ten classes.

    Ids are those of S4: 0 padding, 1 unknown, 2 the end, which follows every expression, then the 15 symbols by their
    frequency in the training split. Parentheses are left out. Other options are those of `InMemoryDataModule`.

    Args:
        source: `generated` draws expressions from the published distribution (see `tasks.lra.generated_listops`);
            `released` reads the published files. Results record it, and scores on them are not the same measurement.
        root: Folder of all data sets, for `released`.
        num_train: Training expressions to generate; the other splits do not depend on it.
        data_seed: Seed of what is generated; the seed of the training does not change the data.
        shortest: Fewest symbols of a generated expression. Limits other than those of the benchmark make another task,
            for trials.
        longest: Most symbols of a generated expression.
        batch_size: Samples a batch.
        bucket_by_length: Put expressions of like length into one batch, which leaves little padding.

    Raises:
        UserError: If an option is out of range, or a released file is missing or broken.
    """

    num_spatial_dims = 1
    in_channels = 1
    size: tuple[int, ...] = (2048,)
    class_names = tuple("0123456789")
    num_tokens = NUM_SPECIALS + len(SYMBOLS)

    def __init__(
        self,
        *,
        source: Source = "generated",
        root: Path = Path("data"),
        num_train: int = 96_000,
        data_seed: int = 0,
        shortest: int = SHORTEST,
        longest: int = LONGEST,
        batch_size: int = 32,
        bucket_by_length: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, bucket_by_length=bucket_by_length, **options)
        if source not in get_args(Source):
            raise UserError(f"source must be one of {', '.join(get_args(Source))}, got {source!r}")
        check_at_least(1, num_train=num_train)
        check_at_least(0, data_seed=data_seed)
        if not FEWEST_LONGEST <= longest <= LONGEST:
            raise UserError(f"longest must lie in [{FEWEST_LONGEST}, {LONGEST}], got {longest}")
        if not 1 <= shortest <= longest // 2:
            raise UserError(f"shortest must lie in [1, longest / 2], got {shortest} for {longest}")
        if source == "released" and (shortest, longest) != (SHORTEST, LONGEST):
            raise UserError(
                f"shortest and longest must be {SHORTEST} and {LONGEST} for released expressions, "
                f"got {shortest} and {longest}"
            )
        if longest < LONGEST:
            self.size = (longest + 1,)
        self.shortest, self.longest = shortest, longest
        self.source, self.root = source, Path(root)
        self.num_train, self.data_seed = num_train, data_seed

    def read_splits(self) -> dict[str, TensorBatches]:
        """Generate or read the expressions, and encode them."""
        expressions = self._generate() if self.source == "generated" else self._read()
        if not self.learnt:
            counts = np.bincount(expressions["train"][0], minlength=len(SYMBOLS))
            by_symbol = dict(zip(SYMBOLS, counts.tolist(), strict=True))
            # A symbol that the training split lacks has an id, too: it comes last.
            self.learnt = {"symbols": order_by_frequency(by_symbol, min_count=0)}
        ids = np.array([NUM_SPECIALS + self.learnt["symbols"].index(symbol) for symbol in SYMBOLS], dtype=np.uint8)
        splits, begin = {}, 0
        for split in SPLITS:
            symbols, lengths, values = expressions[split]
            # Bytes in memory: ids of int64 would take eight times as much.
            x = torch.from_numpy(np.insert(ids[symbols], np.cumsum(lengths), END))
            sequences = RaggedSequences(x, torch.from_numpy(lengths + 1))
            index = torch.arange(begin, begin + len(sequences))
            splits[split] = TensorBatches(x=sequences, y=torch.from_numpy(values), index=index, transform=widen_ids)
            begin += len(sequences)
        return splits

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        """Read new expressions, one a line, such as `[MAX 2 9 [MIN 4 7 ] 0 ]`."""
        ids = {symbol: NUM_SPECIALS + number for number, symbol in enumerate(self.learnt["symbols"])}
        samples = {}
        for number, line in enumerate(read_text(path).split("\n"), 1):
            symbols = split_symbols(line)
            if others := [symbol for symbol in symbols if symbol not in ids]:
                raise UserError(f"line {number} must hold the symbols {' '.join(SYMBOLS)}, got {others[0]!r}")
            positions = np.array([SYMBOLS.index(symbol) for symbol in symbols], dtype=np.uint8)
            if not symbols or len(find_broken(positions, np.array([len(positions)]))):
                raise UserError(f"line {number} must be {ONE_EXPRESSION}, got {line[:SHOWN]!r}")
            samples[f"{path}:{number}"] = torch.tensor([*map(ids.__getitem__, symbols), END])
        return samples

    def _generate(self) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]]:
        # Test and validation come first, so that another num_train leaves them as they are.
        counts = {"test": NUM_TEST, "val": NUM_VALIDATION, "train": self.num_train}
        symbols, lengths, values = take_expressions(
            sum(counts.values()), seed=self.data_seed, shortest=self.shortest, longest=self.longest
        )
        rows = np.cumsum(list(counts.values()))[:-1]
        cuts = np.cumsum(lengths)[rows - 1]
        parts = zip(np.split(symbols, cuts), np.split(lengths, rows), np.split(values, rows), strict=True)
        return dict(zip(counts, parts, strict=True))

    def _read(self) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]]:
        numbers = {symbol: number for number, symbol in enumerate(SYMBOLS)}
        found = {}
        for split, path in find_files(self.root).items():
            rows = list(read_split(path))
            for number, (row, _) in enumerate(rows, 2):
                if not set(row) <= numbers.keys():
                    other = next(symbol for symbol in row if symbol not in numbers)
                    raise UserError(f"{path}, line {number} must hold the symbols {' '.join(SYMBOLS)}, got {other!r}")
            symbols = np.array([numbers[symbol] for row, _ in rows for symbol in row], dtype=np.uint8)
            lengths = np.array([len(row) for row, _ in rows])
            if len(broken := find_broken(symbols, lengths)):
                shown = " ".join(rows[broken[0]][0])[:SHOWN]
                raise UserError(f"{path}, line {broken[0] + 2} must begin with {ONE_EXPRESSION}, got {shown!r}")
            found[split] = (symbols, lengths, np.array([value for _, value in rows]))
        return found


def find_broken(symbols: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of many expressions are not whole: one operator with its arguments, or one digit, and no more.

    Each has a symbol at least.

    Example:
        >>> whole, cut = [MIN, 1, 7, CLOSING], [MIN, 1, 7]
        >>> find_broken(np.array(whole + cut + whole), np.array([4, 3, 4])).tolist()
        [1]
    """
    rows, last = np.repeat(np.arange(len(lengths)), lengths), np.cumsum(lengths) - 1
    closes = symbols == CLOSING
    opens = (symbols >= MIN) & ~closes
    depth = np.cumsum(opens.astype(np.int64) - closes)
    # Each row counts from zero.
    depth -= np.concatenate([[0], depth[last[:-1]]])[rows]
    ends = np.zeros(len(symbols), dtype=np.bool_)
    ends[last] = True
    wrong = np.where(ends, depth != 0, depth < 1)
    wrong[1:] |= closes[1:] & opens[:-1]
    return np.flatnonzero(np.bincount(rows[wrong], minlength=len(lengths)))


def widen_ids(batch: Batch, epoch: int) -> Batch:
    """Turn ids, which lie in memory as bytes, into `int64`; the epoch is unused."""
    return {**batch, "x": batch["x"].long()}
