"""Many trainings, one table: the runs of a benchmark, shared by any number of processes and machines."""
