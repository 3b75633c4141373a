"""Readers of the published files; they import neither torch nor Lightning."""
