"""Readers of the files that hold sequences, a module for each format."""
