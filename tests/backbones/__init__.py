"""Tests of the Terminator and its presets."""
