"""What the C library does with freed memory, which a large model on a CPU pays for at every operation."""

import ctypes

# glibc's numbers for mallopt(3)
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, so that the next tensor of that size needs no new pages.

    By default glibc hands every large block back to the system, and the system clears each page again when the next
    operation touches it: about a millisecond per 8 MB tensor, a fifth of a training step on a CPU. The price is that
    the process keeps its peak memory until it ends. It concerns all of the process, so only programs should call it,
    once, at their start; the command `hyperseq` does.

    Returns:
        Whether the C library took the setting: False outside glibc (macOS, Windows, musl), where nothing changes.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
