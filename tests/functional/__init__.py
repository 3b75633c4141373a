"""Tests of hyperseq.functional, one file a source subject."""
