"""How any data set reaches a loader; knows no model and no run."""
