"""Image tasks, read as sequences or as images."""

from tasks.images.published import DATA_SETS as DATA_SETS
