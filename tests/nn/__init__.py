"""Tests of hyperseq.nn: one battery for all layers, and what is particular to each."""
