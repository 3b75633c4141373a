"""What lies on disk of a run: folder, checkpoints, provenance."""
