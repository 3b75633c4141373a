"""Readers of published time series; they import neither torch nor Lightning."""

from tasks.series.published import acsf1, japanese_vowels, pigcvp, plaid

DATA_SETS = tuple(module.DATA_SET for module in (acsf1, japanese_vowels, pigcvp, plaid))
