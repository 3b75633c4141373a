"""Sequential MNIST within equal seconds: our Terminator beside three peers of the same size, built from torch alone."""
