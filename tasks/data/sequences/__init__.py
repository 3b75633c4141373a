"""Sequences of the user's own: checked arrays, and the data module that splits and normalizes them."""
