"""What every task shares: the Lightning module, batches, splits, schedules, the run folder and its reports."""
