"""What `--budget` changes in a config, and says about it; the numbers stand nowhere else."""

from collections.abc import Iterable
from typing import Any, Literal, get_args

from tasks.errors import UserError

Budget = Literal["small", "full"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)

NOTES = {
    "small": "Budget small: a training cut short so that a laptop finishes it. It is not the setting of the paper or "
    "of any published result, and its scores are no estimate of what the model reaches.",
    "full": "Budget full: the configs as they are.",
}

# Epochs, and training batches an epoch, of each config. `None` keeps whole epochs.
SMALL: dict[str, tuple[int, int | None]] = {
    "images/cifar100_2d": (2, 200),
    "images/cifar10_2d": (2, 200),
    "images/digits": (5, None),
    "images/digits2d": (5, None),
    "images/mnist_2d": (1, 300),
    "images/pmnist": (1, 300),
    "images/scifar10": (1, 300),
    "images/smnist": (1, 300),
    "images/stl10_2d": (2, 100),
    "lra/image": (1, 300),
    "lra/listops": (2, 200),
    "lra/path256": (1, 10),
    "lra/pathfinder": (1, 300),
    "lra/pathfinder64": (1, 100),
    "lra/pathx": (1, 30),
    "lra/retrieval": (1, 50),
    "lra/text": (1, 100),
    "series/acsf1": (10, None),
    "series/japanese_vowels": (10, None),
    "series/own": (5, None),
    "series/pigcvp": (10, None),
    "series/plaid": (5, None),
    "speech/esc50": (2, None),
    "speech/folder": (5, None),
    "speech/fsdd": (3, None),
    "speech/fsdd_logmel": (3, None),
    "speech/fsdd_mfcc": (3, None),
    "speech/sc10_mfcc": (1, 200),
    "speech/sc10_raw": (1, 200),
    "speech/sc12": (1, 200),
    "speech/sc35": (1, 200),
    "speech/sc35_logmel": (1, 200),
    "speech/urbansound8k": (1, 100),
}
LIMITED_TEST = {"lra/pathx": 30, "lra/path256": 10}
"""Batches of validation and test, where whole splits would take longer than the training."""

BATCH_SIZES = {"lra/listops": 16}
"""Samples a batch, where those of the config take more memory than a laptop has."""

EXPECTED: dict[str, float] = {
    "images/digits": 0.9722,
    "images/digits2d": 0.9861,
    "images/mnist_2d": 0.9727,
    "images/pmnist": 0.9331,
    "images/smnist": 0.9560,
    "lra/listops": 0.3490,
    "lra/pathfinder": 0.4966,
    "series/acsf1": 0.6800,
    "series/japanese_vowels": 0.9784,
    "series/pigcvp": 0.1827,
    "series/plaid": 0.7318,
    "speech/fsdd": 0.7433,
    "speech/fsdd_logmel": 0.9233,
    "speech/fsdd_mfcc": 0.9833,
}
"""Test accuracy of the small budget with seed 0, measured by `hyperseq bench` on one thread of a CPU."""


def describe_budget(budget: Budget, *, group: str, tasks: Iterable[str]) -> str:
    """Say what a budget stands for, and which test accuracy a small one is expected to reach.

    Example:
        >>> print(describe_budget("small", group="images", tasks=["digits", "stl10_2d"]).splitlines()[-1])
        Expected test accuracy, measured with seed 0: digits 97.22%; not measured: stl10_2d.
    """
    if budget == "full":
        return NOTES["full"]
    known = {task: EXPECTED.get(f"{group}/{task}") for task in tasks}
    measured = [f"{task} {score:.2%}" for task, score in known.items() if score is not None]
    unknown = [task for task, score in known.items() if score is None]
    told = [", ".join(measured)] if measured else []
    told += [f"not measured: {', '.join(unknown)}"] if unknown else []
    return f"{NOTES['small']}\nExpected test accuracy, measured with seed 0: {'; '.join(told)}."


def choose_options(budget: Budget, *, group: str, task: str) -> dict[str, Any]:
    """Return the options that a budget adds to a config. `listops_gru` has the budget of `listops`.

    Raises:
        UserError: If the budget is small and the task has none.

    Example:
        >>> choose_options("small", group="lra", task="listops_gru")
        {'trainer.max_epochs': 2, 'trainer.limit_train_batches': 200, 'data.batch_size': 16}
    """
    if budget == "full":
        return {}
    name = f"{group}/{task}"
    known = [known for known in SMALL if name == known or name.startswith(f"{known}_")]
    if not known:
        raise UserError(f"budget must be full where no small one is stated, got small for {name}")
    base = max(known, key=len)
    epochs, batches = SMALL[base]
    options: dict[str, Any] = {"trainer.max_epochs": epochs}
    if batches is not None:
        options["trainer.limit_train_batches"] = batches
    if base in BATCH_SIZES:
        options["data.batch_size"] = BATCH_SIZES[base]
    if base in LIMITED_TEST:
        options |= {f"trainer.limit_{split}_batches": LIMITED_TEST[base] for split in ("val", "test")}
    return options
