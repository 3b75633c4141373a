"""Speed and memory of hyperseq, beside its peers and beside the floor of bare transforms and matrix products."""
