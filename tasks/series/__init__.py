"""Time series: published archives and sequences of the user's own."""

from tasks.series.published import DATA_SETS as DATA_SETS
