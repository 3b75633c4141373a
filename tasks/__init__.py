"""What is trained on what: data, heads, training runs and the command `hyperseq`."""
