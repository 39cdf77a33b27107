"""Cross-validation folds that keep groups whole: multilabel-stratified for curated clips, plain for noisy.

scikit-learn is imported where folds are made: it takes as long to load as torch, and prediction needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

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
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

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
    from sklearn.model_selection import KFold

    yield from KFold(n_splits=n_folds, shuffle=True, random_state=seed).split(np.zeros(n_clips))


def stratified_group_folds(
    targets: np.ndarray, groups: Sequence[str], n_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (training, validation) indices of n_folds folds that keep groups whole and share classes out.

    Where every clip is a group of its own, the folds are those of stratified_folds. Else groups are dealt
    out as Sechidis et al. 2011 deal out clips, the rarest class first and its largest group first, each
    to the fold that lacks most of the class; then single groups move while that makes folds more even.

    Args:
        targets: (clips, classes) multi-hot.
        groups: (clips,) names; an empty name is a group of its own.
        n_folds: at least 2 and at most the number of groups.
        seed: of the shuffle.
    """
    targets, group_of_clip = np.asarray(targets, dtype=np.float64), _numbered(groups)
    n_groups = int(group_of_clip.max(initial=-1)) + 1
    if n_groups == len(targets):
        yield from stratified_folds(targets, n_folds, seed)
        return
    _check(n_groups, n_folds, "groups of clips")
    # What a group has of each class, and last of clips.
    counts = np.zeros((n_groups, targets.shape[1] + 1))
    np.add.at(counts, group_of_clip, np.column_stack([targets, np.ones(len(targets))]))
    fold_of_group = _deal_out(counts, n_folds, np.random.default_rng(seed))
    fold_of_clip = fold_of_group[group_of_clip]
    for fold in range(n_folds):
        yield np.flatnonzero(fold_of_clip != fold), np.flatnonzero(fold_of_clip == fold)


def _numbered(groups: Sequence[str]) -> np.ndarray:
    """(clips,) number of each clip's group; an empty name is a group of its own."""
    names = [name or (row,) for row, name in enumerate(groups)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _deal_out(counts: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """(groups,) fold of each group; counts (groups, classes + 1) of labels, and last of clips."""
    n_groups = len(counts)
    order = rng.permutation(n_groups)  # ties fall by chance, not by the table's order
    shuffled = counts[order]
    lacking = np.tile(shuffled.sum(axis=0) / n_folds, (n_folds, 1))
    fold_of = np.full(n_groups, -1)
    left = np.ones(n_groups, dtype=bool)
    while left.any():
        present = shuffled[left, :-1].sum(axis=0)
        column = -1  # of groups without a label the number of clips is shared out
        if present.any():
            column = int(np.where(present > 0, present, np.inf).argmin())
        having = np.flatnonzero(left & (shuffled[:, column] > 0))
        for group in having[np.lexsort((-shuffled[having, -1], -shuffled[having, column]))]:
            most = np.lexsort((-lacking[:, -1], -lacking[:, column]))
            fold_of[group] = most[0]
            lacking[most[0]] -= shuffled[group]
            left[group] = False
    for fold in set(range(n_folds)) - set(fold_of.tolist()):  # a few large groups took the place of all
        crowded = np.flatnonzero(fold_of == np.bincount(fold_of).argmax())
        group = crowded[shuffled[crowded, -1].argmin()]
        lacking[fold_of[group]] += shuffled[group]
        lacking[fold] -= shuffled[group]
        fold_of[group] = fold
    _even_out(shuffled, fold_of, lacking)
    result = np.empty(n_groups, dtype=np.int64)
    result[order] = fold_of
    return result


def _even_out(counts: np.ndarray, fold_of: np.ndarray, lacking: np.ndarray, max_passes: int = 10) -> None:
    """Moves groups, in place, while that lowers the squared lack of classes and clips over their numbers."""
    weights = 1 / np.maximum(counts.sum(axis=0), 1)
    n_groups_in = np.bincount(fold_of, minlength=len(lacking))
    for _ in range(max_passes):
        has_moved = False
        for group, own in enumerate(counts):
            source = fold_of[group]
            if n_groups_in[source] == 1:  # no fold is left empty
                continue
            # Of lack l a fold that takes the group has l - own, the one that gives it away l + own.
            gain = ((2 * lacking - own) * own) @ weights
            loss = ((2 * lacking[source] + own) * own) @ weights
            gain[source] = -np.inf
            target = int(gain.argmax())
            if gain[target] - loss > 1e-9:
                lacking[source] += own
                lacking[target] -= own
                fold_of[group] = target
                n_groups_in[source] -= 1
                n_groups_in[target] += 1
                has_moved = True
        if not has_moved:
            return


def plain_group_folds(
    groups: Sequence[str], n_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (training, validation) indices of n_folds shuffled folds of about as many clips each.

    Groups stay whole; where every clip is a group of its own, the folds are those of plain_folds.
    """
    if len(set(filter(None, groups))) == sum(map(bool, groups)):
        yield from plain_folds(len(groups), n_folds, seed)
        return
    yield from stratified_group_folds(np.zeros((len(groups), 1)), groups, n_folds, seed)


def split_holdout(groups: Sequence[str], holdout_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(development, holdout) indices, both sorted; holdout_size is a share of the clips in (0, 1).

    groups: (clips,) names, an empty one is a group of its own. They stay whole: drawn one after the other,
    those that do not fit into the rest of the share are passed over.
    """
    n_clips, group_of_clip = len(groups), _numbered(groups)
    sizes = np.bincount(group_of_clip)
    if len(sizes) == n_clips:
        try:
            from sklearn.model_selection import train_test_split

            parts = train_test_split(np.arange(n_clips), test_size=holdout_size, random_state=seed)
        except ValueError as error:
            raise DataError(
                f"--holdout_size {holdout_size} of {n_clips} clips leaves one of two parts empty ({error})"
            ) from error
        return np.sort(parts[0]), np.sort(parts[1])
    wanted, held_out = round(holdout_size * n_clips), np.zeros(len(sizes), dtype=bool)
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        if sizes[held_out].sum() + sizes[group] <= wanted:
            held_out[group] = True
    if not held_out.any() or held_out.all():
        raise DataError(
            f"--holdout_size {holdout_size} of {n_clips} clips leaves one of the two parts empty: their "
            f"{len(sizes)} groups stay whole, and the smallest has {sizes.min()} clips"
        )
    is_held_out = held_out[group_of_clip]
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _check(n_clips: int, n_folds: int, what: str = "clips") -> None:
    if n_folds < 2:
        raise ValueError(f"n_folds: expected at least 2, got {n_folds}")
    if n_clips < n_folds:
        raise DataError(
            f"expected at least as many {what} as folds, found {n_clips} {what} for {n_folds} folds; "
            "add clips or lower --n_folds"
        )
