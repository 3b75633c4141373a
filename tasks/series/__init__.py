"""Time series: published archives and sequences of the user's own."""

DATA_SETS = ()
