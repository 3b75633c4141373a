"""Long Range Arena: the tasks whose inputs are tokens."""

from tasks.lra.published import DATA_SETS as DATA_SETS
