"""Readers of published data sets of audio."""

from tasks.speech.published import fsdd

DATA_SETS = (fsdd.DATA_SET,)
