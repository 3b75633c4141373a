"""Small archives in the exact format of the public ones, filled with noise."""

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

# What each archive holds here; the order is that of the public archives.
TRAIN, TEST = 40, 12


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_mnist(root: Path) -> None:
    for split, count in (("train", TRAIN), ("t10k", TEST)):
        write_idx(root / f"mnist/{split}-images-idx3-ubyte.gz", noise(count, 28, 28, seed=count))
        write_idx(root / f"mnist/{split}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)


def write_cifar10(root: Path) -> None:
    batches = [*((f"data_batch_{number}", TRAIN // 5) for number in (1, 2, 3, 4, 5)), ("test_batch", TEST)]
    members = {
        f"cifar-10-batches-py/{name}": pickle_of_python_2(
            {b"labels": [i % 10 for i in range(count)], b"data": noise(count, 3072, seed=position)}
        )
        for position, (name, count) in enumerate(batches)
    }
    write_tar(root / "cifar10/cifar-10-python.tar.gz", members)


def write_cifar100(root: Path) -> None:
    members = {
        f"cifar-100-python/{name}": pickle_of_python_2(
            {
                b"data": noise(count, 3072, seed=count),
                b"fine_labels": [7 * i % 100 for i in range(count)],
                b"coarse_labels": [i % 20 for i in range(count)],
            }
        )
        for name, count in (("test", TEST), ("train", TRAIN))
    }
    write_tar(root / "cifar100/cifar-100-python.tar.gz", members)


def write_stl10(root: Path) -> None:
    members = {}
    for name, count in (("test", TEST), ("train", TRAIN)):
        members[f"stl10_binary/{name}_X.bin"] = noise(count, 3, 96, 96, seed=count).tobytes()
        members[f"stl10_binary/{name}_y.bin"] = (np.arange(count, dtype=np.uint8) % 10 + 1).tobytes()
    write_tar(root / "stl10/stl10_binary.tar.gz", members)


WRITERS = (write_mnist, write_cifar10, write_cifar100, write_stl10)


def pickle_of_python_2(batch: dict[bytes, np.ndarray | list[int]]) -> bytes:
    """Pickle as Python 2 did with protocol 2: today's Python can read such a pickle, but not write one."""
    entries = [_string(key) + (_array(v) if isinstance(v, np.ndarray) else _list(v)) for key, v in batch.items()]
    return b"\x80\x02}(" + b"".join(entries) + b"u."


def _string(text: bytes) -> bytes:
    return b"U" + struct.pack("<B", len(text)) + text


def _list(values: list[int]) -> bytes:
    return b"](" + b"".join(b"K" + struct.pack("<B", value) for value in values) + b"e"


def _array(array: np.ndarray) -> bytes:
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + _string(b"b") + b"tR"
    bytes_ = b"cnumpy\ndtype\n" + _string(b"u1") + b"K\x00K\x01\x87R(K\x03" + _string(b"|")
    bytes_ += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(b"M" + struct.pack("<H", length) for length in array.shape)
    content = b"T" + struct.pack("<i", array.nbytes) + array.tobytes()
    return empty + b"(K\x01(" + shape + b"t" + bytes_ + b"\x89" + content + b"tb"
