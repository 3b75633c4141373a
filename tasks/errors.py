"""The error of a user's mistake, and the checks behind most of them; a leaf that every module may import."""

import traceback

LARGEST_SEED = 2**32 - 1
"""One word of 32 bits: NumPy would read a larger seed as two, and share random numbers with a smaller one."""


class UserError(ValueError):
    """A mistake of the user that one line explains: the argument, the rule and the value found.

    The command prints the message alone. Any other exception is a fault of some code and keeps its traceback.

    Example:
        >>> raise UserError("batch_size must be at least 1, got 0")
        Traceback (most recent call last):
        tasks.errors.UserError: batch_size must be at least 1, got 0
    """


def check_at_least(least: int, **values: float) -> None:
    """Raise `UserError` if a value, named by its argument, is smaller.

    Example:
        >>> check_at_least(1, batch_size=0)
        Traceback (most recent call last):
        tasks.errors.UserError: batch_size must be at least 1, got 0
    """
    for name, value in values.items():
        if value < least:
            raise UserError(f"{name} must be at least {least}, got {value}")


def check_seed(**seeds: int) -> None:
    """Raise `UserError` if a seed, named by its argument, is not one word of 32 bits.

    Example:
        >>> check_seed(data_seed=-1)
        Traceback (most recent call last):
        tasks.errors.UserError: data_seed must lie in [0, 4294967295], got -1
    """
    for name, value in seeds.items():
        if not 0 <= value <= LARGEST_SEED:
            raise UserError(f"{name} must lie in [0, {LARGEST_SEED}], got {value}")


def is_raised_within(error: Exception, packages: set[str]) -> bool:
    """Return whether the code below the caller, if there is any, belongs to these packages alone."""
    modules = [frame.f_globals.get("__name__", "").split(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)]
    return set(modules[1:]) <= packages
