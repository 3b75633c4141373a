"""Sequence layers inside the same residual stack, at equal parameters and equal seconds."""
