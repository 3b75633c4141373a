"""The terminal that everything is printed to."""

from rich.console import Console


def make_console() -> Console:
    """Open the terminal; where the output is none, its lines are wide enough to hold any path."""
    # Paths may hold what rich would read as markup, and numbers need no colors.
    console = Console(soft_wrap=True, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console
