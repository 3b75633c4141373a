import json

import pytest

from tests.tasks.command import fit, hyperseq

STAMP = "The epoch was chosen on the test split: this is no estimate for new samples."


def results(run):
    return json.loads((run / "results.json").read_text())


@pytest.fixture(scope="module")
def old_habit(tmp_path_factory):
    """Return a finished run whose epoch was chosen on the test split, and what it printed."""
    root = tmp_path_factory.mktemp("old")
    answer = fit(root, "--data=tests.tasks.old_habit.OldHabitDigits", "--run.name=old", "--trainer.max_epochs=1")
    return root / "old" / "1", answer.out


def test_an_epoch_chosen_on_the_test_split_is_stamped_wherever_its_number_is_told(old_habit):
    run, printed = old_habit
    assert results(run)["selected_on"] == "test" and results(run)["val_n"] == 360
    for out in (printed, hyperseq("test", "--config", run / "config.yaml").out):
        assert STAMP in out and "% to " not in out
    assert f"{100 * results(run)['accuracy']:.2f}%*" in hyperseq("results", run).out


def test_an_epoch_chosen_on_the_validation_split_is_not(trained):
    assert results(trained.folder)["selected_on"] == "validation"
    assert STAMP not in trained.answer.out and "% to " in trained.answer.out


def test_results_tell_the_shape_of_a_sample_and_the_state_of_the_code(trained):
    told = results(trained.folder)
    assert told["input_shape"] == [1, 64]
    assert {"commit", "dirty"} <= set(told)
