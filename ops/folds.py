"""Cross-validation folds: multilabel-stratified for curated clips, plain for noisy ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import KFold, train_test_split

from ops.errors import DataError


def stratified_folds(targets: np.ndarray, n_folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (training, validation) indices of n_folds folds, each class spread evenly over them.

    Args:
        targets: (clips, classes) multi-hot.
        n_folds: at least 2 and at most the number of clips.
        seed: of the shuffle. Sechidis et al. 2011, by iterative-stratification.
    """
    targets = np.asarray(targets)
    _check(len(targets), n_folds)
    splitter = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    # The package takes several columns; a second one, the complement, changes nothing.
    columns = np.hstack([targets, 1 - targets]) if targets.shape[1] == 1 else targets
    for fold, (training, validation) in enumerate(splitter.split(np.zeros(len(targets)), columns)):
        if not len(training) or not len(validation):
            raise DataError(
                f"fold {fold} of {n_folds} got {len(training)} training and {len(validation)} validation "
                f"clips out of {len(targets)}; expected some of both: add clips or lower --n_folds"
            )
        yield training, validation


def plain_folds(n_clips: int, n_folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (training, validation) indices of n_folds shuffled folds of n_clips clips."""
    _check(n_clips, n_folds)
    yield from KFold(n_splits=n_folds, shuffle=True, random_state=seed).split(np.zeros(n_clips))


def split_holdout(n_clips: int, holdout_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(development, holdout) indices, both sorted; holdout_size is a fraction of the clips in (0, 1)."""
    try:
        development, holdout = train_test_split(np.arange(n_clips), test_size=holdout_size, random_state=seed)
    except ValueError as error:
        raise DataError(
            f"--holdout_size {holdout_size} of {n_clips} clips leaves one of the two parts empty ({error})"
        ) from error
    return np.sort(development), np.sort(holdout)


def _check(n_clips: int, n_folds: int) -> None:
    if n_folds < 2:
        raise ValueError(f"n_folds: expected at least 2, got {n_folds}")
    if n_clips < n_folds:
        raise DataError(
            f"expected at least as many clips as folds, found {n_clips} clips for {n_folds} folds; "
            "add clips or lower --n_folds"
        )
