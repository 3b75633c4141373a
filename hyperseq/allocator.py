"""Keep freed memory in the process: giving it back to the system slows every operation of a large model on a CPU."""

import ctypes

# The numbers of glibc for mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, so that the next tensor of the same size needs no new pages.

    By default glibc returns every large block to the system. The system clears each page when the next operation
    touches it: about a millisecond per 8 MB tensor, a fifth of a training step on a CPU. With this setting the process
    keeps its peak memory until it ends. The setting holds for the whole process: call it in a program, once, at its
    start. The command `hyperseq` does.

    Returns:
        Whether the C library took the setting. False outside glibc (macOS, Windows, musl), where nothing changes.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
