"""NumPy files: `.npz` with named arrays, and `.npy` beside its targets."""

import zlib
from pathlib import Path
from typing import NoReturn
from zipfile import BadZipFile

import numpy as np

from tasks.data.sequences.arrays import Array, Sequences, make_sequences
from tasks.errors import UserError

KEYS = ("x", "y", "lengths", "names", "split", "group")


def read_npz(path: Path) -> Sequences:
    """Read a `.npz` file of `x`, and optionally `y`, `lengths`, `names`, `split` and `group`.

    `x` is `(N, C, L)`, `(N, L)`, or `(C, total)` with `lengths`; the other arrays have one entry a sequence.

    Raises:
        UserError: If an array is missing, has another name, or holds Python objects.
    """
    try:
        # NumPy leaves a file that it opened itself open if it is no archive.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UserError(f"{path.name} must hold named arrays, as np.savez writes them, got one array")
            if "x" not in file.files:
                raise UserError(f"{path.name} must hold an array x, got {', '.join(file.files) or 'none'}")
            if others := sorted(set(file.files) - set(KEYS)):
                raise UserError(f"{path.name} may hold {', '.join(KEYS)}, got {others[0]}")
            arrays = {name: file[name] for name in file.files}
    except ValueError as error:
        _refuse_objects(path, error)
    except (BadZipFile, EOFError, zlib.error, NotImplementedError, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        raise UserError(f"{path.name} must be a whole .npz file, got one that ends early or is damaged") from error
    return make_sequences(arrays.pop("x"), **arrays, owned=True)


def read_npy(path: Path) -> Sequences:
    """Read `NAME.npy`, `(N, C, L)` or `(N, L)`, memory-mapped, and the files beside it.

    `NAME_y.npy` holds targets and `NAME_lengths.npy` lengths, where `x` is `(C, total)`.
    """
    beside = {name: path.with_name(f"{path.stem}_{name}.npy") for name in KEYS[1:]}
    arrays = {name: _load(file) for name, file in beside.items() if file.is_file()}
    return make_sequences(_load(path), **arrays, owned=True)


def _load(path: Path) -> Array:
    try:
        # Written pages are copies: the file stays as it is.
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except ValueError as error:
        _refuse_objects(path, error)
    except EOFError as error:
        raise UserError(f"{path.name} must be a whole .npy file, got one that ends early") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path.name} must hold one array, got several: name the file .npz")
    return array


def _refuse_objects(path: Path, error: ValueError) -> NoReturn:
    if isinstance(error, UserError):
        raise error
    raise UserError(
        f"{path.name} must hold arrays of numbers or texts, got Python objects or a damaged array: for sequences of "
        "different length, store x end to end as (C, total), and lengths"
    ) from error
