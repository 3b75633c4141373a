"""What happens during a fit, one callback a file."""
