"""One fit, from the command line to the report."""
