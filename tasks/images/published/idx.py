"""The IDX format of MNIST: a magic number, the length of each axis, then bytes."""

import gzip
import zlib
from math import prod
from pathlib import Path

import torch
from torch import Tensor

UNSIGNED_BYTES = 0x08


def read_idx(path: Path, *, num_axes: int) -> Tensor:
    """Read a gzipped IDX file of unsigned bytes.

    Args:
        path: The file.
        num_axes: Axes that it must have: 1 for labels, 3 for images.

    Returns:
        Its content, `uint8`.

    Raises:
        ValueError: If it is no whole gzip file, or its content is not what its header announces.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} must be a whole gzip file, got: {error}") from error
    magic = bytes([0, 0, UNSIGNED_BYTES, num_axes])
    if content[:4] != magic:
        raise ValueError(f"{path} must begin with the IDX magic number {magic.hex(' ')}, got {content[:4].hex(' ')}")
    header_size = 4 + 4 * num_axes
    if len(content) < header_size:
        raise ValueError(f"{path} must begin with a header of {header_size} bytes, got {len(content)} bytes")
    lengths = [int.from_bytes(content[start : start + 4], "big") for start in range(4, header_size, 4)]
    body = content[header_size:]
    if not body or len(body) != prod(lengths):
        announced = "x".join(map(str, lengths))
        raise ValueError(f"{path} must hold the {announced} bytes that its header announces, got {len(body)}")
    return torch.frombuffer(bytearray(body), dtype=torch.uint8).reshape(lengths)
