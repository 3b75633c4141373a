"""Long Range Arena: the three tasks whose inputs are tokens."""

DATA_SETS = ()
