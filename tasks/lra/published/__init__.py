"""Readers of the published files; they import neither torch nor Lightning."""

from tasks.lra.published import aan, imdb, listops

DATA_SETS = (aan.DATA_SET, imdb.DATA_SET, listops.DATA_SET)
