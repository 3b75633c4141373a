"""Image tasks, read as sequences or as images."""
