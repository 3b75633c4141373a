"""Seconds that add up over several stretches of time."""

import time
from collections.abc import Callable


class Stopwatch:
    """Add up the seconds between each start and the stop that follows.

    Args:
        read_clock: The clock, in seconds; that of the wall by default.
    """

    def __init__(self, read_clock: Callable[[], float] | None = None) -> None:
        self._read_clock = time.perf_counter if read_clock is None else read_clock
        self._earlier = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._earlier + (0.0 if self._since is None else self._read_clock() - self._since)

    def start(self) -> None:
        """Begin a stretch."""
        self._since = self._read_clock()

    def stop(self) -> None:
        """End the stretch, if one has begun."""
        self._earlier, self._since = self.seconds, None

    def go_on_from(self, seconds: float) -> None:
        """Count these seconds as those before the first stretch."""
        self._earlier = seconds
