"""Readers of the published files; they import neither torch nor Lightning."""

from tasks.lra.published import imdb

DATA_SETS = (imdb.DATA_SET,)
