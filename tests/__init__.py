"""Tests of hyperseq: laws, and loop-written truth to hold them against."""
