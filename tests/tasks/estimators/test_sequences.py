import csv
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from tasks.errors import UserError
from tasks.estimators import SequenceClassifier, SequenceRegressor
from tests.tasks.command import ROOT, hyperseq

SMALL = {"channels": [4, 4], "local_kernel_sizes": [3], "batch_size": 64, "max_epochs": 1}
OTHER_LENGTHS = "sequences of other lengths are no error: kernels are continuous"
ONE_EPOCH = f"one epoch learns too little, and {OTHER_LENGTHS}"
EXPECTED = {
    "check_n_features_in_after_fitting": OTHER_LENGTHS,
    "check_classifiers_train": ONE_EPOCH,
    "check_regressors_train": ONE_EPOCH,
}

RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(20, 40, size=48)
Y = np.array(["slow", "fast"])[np.arange(48) % 2]
X = [
    np.stack([np.sin(2 * np.pi * np.arange(length) / (12 if y == "slow" else 5)), RANDOM.normal(size=length)])
    for length, y in zip(LENGTHS, Y, strict=True)
]


@pytest.fixture(scope="module")
def classifier():
    return SequenceClassifier(channels=[8, 8], max_epochs=6, lr=2e-2, batch_size=8).fit(X, Y)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    [SequenceClassifier(**SMALL), SequenceRegressor(**SMALL)], expected_failed_checks=lambda estimator: EXPECTED
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_sequences_of_unequal_length_are_learnt_and_scored(classifier):
    assert classifier.score(X, Y) == 1.0 and classifier.classes_.tolist() == ["fast", "slow"]
    shares = classifier.predict_proba(X)
    assert shares.shape == (48, 2) and np.allclose(shares.sum(axis=1), 1)
    assert (classifier.classes_[shares.argmax(axis=1)] == classifier.predict(X)).all()


def test_a_sequence_has_its_probabilities_alone_and_in_any_batch(classifier):
    alone = np.concatenate([classifier.predict_proba([x]) for x in X])
    assert np.allclose(alone, classifier.predict_proba(X), atol=1e-5)
    order = RANDOM.permutation(48)
    assert np.allclose(alone[order], classifier.predict_proba([X[row] for row in order]), atol=1e-5)


def test_lengths_that_training_never_saw_are_answered(classifier):
    time = np.arange(97)
    longer = [np.stack([np.sin(2 * np.pi * time / period), 0 * time]) for period in (12, 5)]
    assert classifier.predict(longer).shape == (2,)


def test_a_file_holds_the_whole_estimator(classifier, tmp_path):
    classifier.save(tmp_path / "model.pt")
    loaded = SequenceClassifier.load(tmp_path / "model.pt")
    assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert np.array_equal(loaded.predict(X), classifier.predict(X)) and loaded.get_params() == classifier.get_params()
    with pytest.raises(UserError, match="path must be a file of SequenceRegressor, got one of SequenceClassifier"):
        SequenceRegressor.load(tmp_path / "model.pt")


def test_the_seed_alone_decides_and_no_global_random_number_is_drawn():
    before = torch.get_rng_state()
    first, same, other = (
        SequenceClassifier(**SMALL, random_state=seed).fit(X, Y).predict_proba(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same) and not np.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_dense_arrays_and_lists_give_one_model():
    dense = np.stack([x[:, :20] for x in X])
    told = [SequenceClassifier(**SMALL).fit(x, Y).predict_proba(x) for x in (dense, list(dense), torch.tensor(dense))]
    assert np.array_equal(told[0], told[1]) and np.array_equal(told[0], told[2])


def test_the_estimators_work_in_pipelines_and_searches():
    table = np.stack([x[0, :20] for x in X])
    pipeline = make_pipeline(FunctionTransformer(), SequenceClassifier(**SMALL))
    assert cross_val_score(pipeline, table, Y, cv=2).shape == (2,)
    search = GridSearchCV(SequenceClassifier(**SMALL), {"lr": [1e-3, 1e-2]}, cv=2).fit(table, Y)
    assert search.best_params_["lr"] in (1e-3, 1e-2) and clone(search.best_estimator_).get_params()["lr"]


def test_numbers_are_learnt_from_sequences_of_unequal_length():
    y = np.where(Y == "slow", 12.0, 5.0)
    regressor = SequenceRegressor(channels=[8, 8], max_epochs=8, lr=2e-2, batch_size=8)
    assert regressor.fit(X, y).score(X, y) > 0.8


def test_numbers_come_back_in_their_units_and_shape():
    y = 1000 + 50 * np.array([x[0, :20].std() for x in X])
    told = SequenceRegressor(**SMALL | {"max_epochs": 4}).fit(X, np.stack([y, -y], axis=1)).predict(X)
    assert told.shape == (48, 2) and abs(told[:, 0].mean() - y.mean()) < 50 and abs(told[:, 1].mean() + y.mean()) < 50


def test_a_part_of_the_data_may_choose_the_epoch_and_missing_values_may_be_indicated():
    x = [each.copy() for each in X]
    x[3][0, 4] = np.nan
    with pytest.raises(
        UserError, match="x must hold no missing value with missing: refuse, got 1, the first in '3' at"
    ):
        SequenceClassifier(**SMALL).fit(x, Y)
    model = SequenceClassifier(**SMALL, missing="indicate", validation=0.2).fit(x, Y)
    assert model.predict(x).shape == (48,)


@pytest.mark.parametrize(
    ("x", "y", "fault"),
    [
        (X[:3], ["a", "b"], "y must have one entry a sequence, got 2 for 3 sequences"),
        (X[:2], ["a", "a"], "y must hold at least 2 classes, got 1 class ('a')"),
        ([X[0], X[1][:1]], ["a", "b"], "sequences of x must have the same channels, got 1 in sequence 1 and 2 in"),
        (
            np.zeros((2, 2, 2, 2)),
            ["a", "b"],
            "x must be (N, C, L), (N, L), or (C, total) with lengths, got (2, 2, 2, 2)",
        ),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused(x, y, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        SequenceClassifier(**SMALL).fit(x, np.array(y))


def test_new_sequences_of_other_channels_are_refused(classifier):
    with pytest.raises(UserError, match="x must have 2 channels, as in training, got 1"):
        classifier.predict([X[0][:1]])


def test_the_estimator_is_the_model_that_the_command_trains(tmp_path):
    split = np.where(np.arange(48) < 36, "train", "test")
    values = np.concatenate(X, axis=1)
    np.savez(tmp_path / "my.npz", x=values, lengths=LENGTHS, y=Y, split=split, names=[str(row) for row in range(48)])
    words = ("--data.path", tmp_path / "my.npz", "--data.validation=0", "--trainer.max_epochs=2", "--seed_everything=3")
    answer = hyperseq("fit", "--config", ROOT / "configs/series/own.yaml", "--run.root", tmp_path, *words)
    assert answer.code == 0, answer.err
    table = list(csv.DictReader((tmp_path / "own" / "1" / "predictions.csv").read_text().splitlines()))
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    model = SequenceClassifier(max_epochs=2, random_state=3).fit([X[row] for row in train], Y[train])
    shares = model.predict_proba([X[row] for row in test])
    assert [float(row["probability"]) for row in table] == pytest.approx(shares.max(axis=1).tolist(), abs=1e-6)
    assert [row["predicted"] for row in table] == model.classes_[shares.argmax(axis=1)].tolist()
