"""The IDX format of MNIST: a magic number, the length of each axis, then bytes."""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import UserError

UNSIGNED_BYTES = 0x08


def read_idx(path: Path, *, num_axes: int) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes with `num_axes` axes: 1 for labels, 3 for images.

    Raises:
        UserError: If the file is no whole gzip file, or its content is not what its header announces.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} must be a whole gzip file, got: {error}") from error
    magic = bytes([0, 0, UNSIGNED_BYTES, num_axes])
    if content[:4] != magic:
        raise UserError(f"{path} must begin with the IDX magic number {magic.hex(' ')}, got {content[:4].hex(' ')}")
    header_size = 4 + 4 * num_axes
    if len(content) < header_size:
        raise UserError(f"{path} must begin with a header of {header_size} bytes, got {len(content)} bytes")
    lengths = [int.from_bytes(content[start : start + 4], "big") for start in range(4, header_size, 4)]
    body = content[header_size:]
    if not body or len(body) != prod(lengths):
        announced = "x".join(map(str, lengths))
        raise UserError(f"{path} must hold the {announced} bytes that its header announces, got {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(lengths)
