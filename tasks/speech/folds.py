"""Cross-validation by published folds."""

from collections.abc import Sequence

from tasks.errors import UserError


def choose_splits_by_fold(folds: Sequence[str | None], *, test_fold: str) -> list[str | None]:
    """Return the split of each clip: one fold tests, the next one validates (after the last the first), the rest train.

    Raises:
        UserError: If there are fewer than 3 folds, or none of this name.
    """
    names = sorted({fold for fold in folds if fold is not None}, key=lambda fold: (len(fold), fold))
    if test_fold not in names:
        raise UserError(f"test_fold must be one of the folds {', '.join(names) or '(there are none)'}, got {test_fold}")
    if len(names) < 3:
        raise UserError(f"fold must name at least 3 folds, got {', '.join(names)}")
    val_fold = names[(names.index(test_fold) + 1) % len(names)]
    return ["test" if fold == test_fold else "val" if fold == val_fold else "train" for fold in folds]
