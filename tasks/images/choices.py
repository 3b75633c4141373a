"""Options with named choices."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def chosen(name: str, choice: str, choices: Mapping[str, Value]) -> Value:
    """Look up a choice.

    Args:
        name: Name of the option, for the message.
        choice: What was chosen.
        choices: What each choice means.

    Returns:
        The meaning of the choice.

    Raises:
        ValueError: If there is no such choice.
    """
    if choice not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {choice!r}")
    return choices[choice]
