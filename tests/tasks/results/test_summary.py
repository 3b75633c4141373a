from tasks.results.summary import Summary


def test_every_seed_is_told_and_means_are_over_those_that_finished():
    runs = [
        {"seed": 0, "accuracy": 0.98, "seconds": 10.0},
        {"seed": 1, "accuracy": 0.99, "seconds": 20.0, "selected_on": "test"},
        {"seed": 2},
        {"seed": 3, "state": "incomplete"},
        {"seed": 4, "failed": "ValueError"},
    ]
    seeds = "0, 1, 2 failed, 3 incomplete, 4 failed"
    assert Summary.of(runs) == Summary(score="98.50 ± 0.71%", seconds="15", seeds=seeds, mark="*")
    assert Summary.of(runs[2:3]) == Summary(score="failed", seconds="", seeds="2 failed", mark="")


def test_other_metrics_than_the_accuracy_are_named():
    runs = [{"seed": seed, "metric": "error", "error": 0.25 + seed, "seconds": 1.0} for seed in (0, 1)]
    assert Summary.of(runs).score == "0.75 ± 0.71 error" and Summary.of(runs[:1]).score == "0.25 error"


def test_scores_on_generated_data_are_labelled():
    generated = {"seed": 0, "accuracy": 0.4, "seconds": 10.0, "source": "generated"}
    assert Summary.of([generated]).score == "40.00% (generated)"
    assert Summary.of([{**generated, "source": "released"}]).score == "40.00%"
