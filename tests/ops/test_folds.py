"""Folds: a partition, balanced, repeatable, equal to the packages they come from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import KFold

from ops.errors import DataError
from ops.folds import (
    plain_folds,
    plain_group_folds,
    split_holdout,
    stratified_folds,
    stratified_group_folds,
)


def random_targets(clips=60, classes=5, seed=0):
    targets = (np.random.default_rng(seed).random((clips, classes)) < 0.3).astype(np.float32)
    targets[0], targets[1] = 0, 1  # a clip without labels, one with all
    return targets


def as_lists(folds):
    return [(training.tolist(), validation.tolist()) for training, validation in folds]


def splits(n_clips, n_folds, seed=0):
    yield list(plain_folds(n_clips, n_folds, seed))
    yield list(stratified_folds(random_targets(n_clips), n_folds, seed))


@pytest.mark.parametrize("n_clips, n_folds", [(60, 4), (61, 5), (20, 2)])
def test_every_clip_validates_once(n_clips, n_folds):
    for folds in splits(n_clips, n_folds):
        assert len(folds) == n_folds
        validated = np.concatenate([validation for _, validation in folds])
        assert sorted(validated) == list(range(n_clips))
        for training, validation in folds:
            assert sorted([*training, *validation]) == list(range(n_clips))


def test_as_many_folds_as_clips():
    assert sorted(v.tolist() for _, v in plain_folds(3, 3, 0)) == [[0], [1], [2]]


@pytest.mark.parametrize("n_folds", [2, 4])
def test_one_label_a_clip_is_shared_out_exactly(n_folds):
    targets = np.repeat(np.eye(5), 8, axis=0)
    for training, validation in stratified_folds(targets, n_folds, seed=1):
        assert targets[validation].sum(axis=0).tolist() == [8 / n_folds] * 5
        assert targets[training].sum(axis=0).tolist() == [8 - 8 / n_folds] * 5


def test_rare_combinations_are_shared_out_too():
    """Sorted blocks of label pairs, which unshuffled plain folds would keep together."""
    pairs = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]])
    targets = np.repeat(pairs, 12, axis=0)
    for _, validation in stratified_folds(targets, 4, seed=0):
        assert (np.abs(targets[validation].sum(axis=0) - 6) <= 1).all()


def test_stratified_equals_iterative_stratification():
    targets = random_targets()
    reference = MultilabelStratifiedKFold(n_splits=4, shuffle=True, random_state=42)
    assert as_lists(stratified_folds(targets, 4, 42)) == as_lists(reference.split(targets, targets))


def test_plain_equals_scikit_learn():
    reference = KFold(n_splits=5, shuffle=True, random_state=42)
    assert as_lists(plain_folds(23, 5, 42)) == as_lists(reference.split(np.zeros(23)))


def test_seed_alone_decides():
    for first, again, other in zip(splits(40, 4, 7), splits(40, 4, 7), splits(40, 4, 8), strict=True):
        assert as_lists(first) == as_lists(again)
        assert as_lists(first) != as_lists(other)


@pytest.mark.parametrize(
    "targets",
    [
        np.zeros((8, 3)),
        np.ones((8, 3)),
        np.zeros((8, 1)),
        np.ones((8, 1)),
        np.eye(8),
        np.eye(8, dtype=bool),
        np.eye(8)[:, :1],
    ],
    ids=["no labels", "all labels", "one class, none", "one class, all", "lone clips", "bool", "one clip"],
)
def test_degenerate_targets_still_partition(targets):
    folds = list(stratified_folds(targets, 2, seed=0))
    assert sorted(np.concatenate([validation for _, validation in folds])) == list(range(8))


def test_one_class_is_balanced():
    targets = np.array([[1], [0]] * 10)
    for _, validation in stratified_folds(targets, 5, seed=0):
        assert targets[validation].sum() == 2


@pytest.mark.parametrize("n_folds", [-1, 0, 1])
def test_fewer_than_two_folds_is_an_error(n_folds):
    for folds in (plain_folds(8, n_folds, 0), stratified_folds(np.eye(8), n_folds, 0)):
        with pytest.raises(ValueError, match=f"n_folds.*at least 2.*{n_folds}"):
            next(folds)


@pytest.mark.parametrize("n_clips", [1, 3])
def test_fewer_clips_than_folds_is_a_data_error(n_clips):
    for folds in (plain_folds(n_clips, 4, 0), stratified_folds(np.eye(n_clips), 4, 0)):
        with pytest.raises(DataError, match=f"{n_clips} clips for 4 folds"):
            next(folds)


@pytest.mark.parametrize("share, expected", [(0.25, 5), (0.1, 2), (0.01, 1)])
def test_holdout_is_a_sorted_share(share, expected):
    development, holdout = split_holdout([""] * 20, share, seed=3)
    assert len(holdout) == expected
    assert sorted([*development, *holdout]) == list(range(20))
    assert (np.diff(development) > 0).all() and (np.diff(holdout) > 0).all()


def test_holdout_seed():
    assert split_holdout([""] * 50, 0.2, 1)[1].tolist() == split_holdout([""] * 50, 0.2, 1)[1].tolist()
    assert split_holdout([""] * 50, 0.2, 1)[1].tolist() != split_holdout([""] * 50, 0.2, 2)[1].tolist()


@pytest.mark.parametrize("n_clips, share", [(1, 0.5), (2, 0.9)])
def test_holdout_that_leaves_nothing_is_a_data_error(n_clips, share):
    with pytest.raises(DataError, match=f"--holdout_size {share} of {n_clips} clips"):
        split_holdout([""] * n_clips, share, 0)


def made_groups(n_groups: int, n_classes: int, seed: int, max_size: int = 5) -> tuple[np.ndarray, list[str]]:
    """Multi-hot targets and groups of 1 to max_size clips of equal labels, the clips in any order."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, max_size + 1, n_groups)
    of_group = rng.random((n_groups, n_classes)) < 1.3 / n_classes
    of_group[~of_group.any(axis=1), 0] = True
    clips = rng.permutation(np.repeat(np.arange(n_groups), sizes))
    return of_group[clips].astype(float), [f"recording {group}" for group in clips]


@given(st.integers(2, 40), st.integers(1, 6), st.integers(2, 5), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_groups_stay_whole_and_each_clip_is_validated_once(n_groups, n_classes, n_folds, seed):
    targets, groups = made_groups(n_groups, n_classes, seed)
    if n_groups < n_folds:
        what = "groups of clips" if len(groups) > n_groups else "clips"  # each alone
        with pytest.raises(DataError, match=f"at least as many {what} as folds"):
            list(stratified_group_folds(targets, groups, n_folds, seed))
        return
    folds = list(stratified_group_folds(targets, groups, n_folds, seed))
    assert sorted(np.concatenate([validation for _, validation in folds])) == list(range(len(targets)))
    for training, validation in folds:
        assert len(validation) and sorted([*training, *validation]) == list(range(len(targets)))
        assert not {groups[i] for i in training} & {groups[i] for i in validation}


def test_classes_are_shared_out_over_groups():
    """Each class's clips in a fold are within one large group of their even number."""
    targets, groups = made_groups(400, 10, seed=1)
    counts = np.array([targets[v].sum(axis=0) for _, v in stratified_group_folds(targets, groups, 5, 0)])
    even = targets.sum(axis=0) / 5
    assert np.abs(counts - even).max() <= 5 and (np.abs(counts - even) / even).mean() < 0.05
    sizes = [len(v) for _, v in stratified_group_folds(targets, groups, 5, 0)]
    assert max(sizes) - min(sizes) <= 0.1 * np.mean(sizes)


def test_clips_that_are_groups_of_their_own_get_the_folds_without_groups():
    targets, _ = made_groups(60, 4, seed=2, max_size=1)
    for groups in ([""] * 60, [str(i) for i in range(60)], ["a", *[""] * 59]):
        found, plain = stratified_group_folds(targets, groups, 4, 3), stratified_folds(targets, 4, 3)
        for one, other in zip(found, plain, strict=True):
            assert [part.tolist() for part in one] == [part.tolist() for part in other]
        for one, other in zip(plain_group_folds(groups, 4, 3), plain_folds(60, 4, 3), strict=True):
            assert [part.tolist() for part in one] == [part.tolist() for part in other]


def test_group_folds_are_those_of_their_seed():
    targets, groups = made_groups(50, 5, seed=3)
    one, same, other = (
        [v.tolist() for _, v in stratified_group_folds(targets, groups, 5, s)] for s in (0, 0, 1)
    )
    assert one == same and one != other


def test_a_few_large_groups_leave_no_fold_empty():
    groups = ["a"] * 50 + ["b"] * 2 + ["c", "d"]
    targets = np.ones((54, 1))
    assert sorted(len(v) for _, v in stratified_group_folds(targets, groups, 4, 0)) == [1, 1, 2, 50]


def test_plain_group_folds_are_of_about_as_many_clips():
    _, groups = made_groups(100, 3, seed=4)
    folds = list(plain_group_folds(groups, 4, 0))
    assert max(len(v) for _, v in folds) - min(len(v) for _, v in folds) <= 5
    assert all(not {groups[i] for i in t} & {groups[i] for i in v} for t, v in folds)


def test_a_holdout_keeps_groups_whole():
    _, groups = made_groups(100, 3, seed=5)
    development, holdout = split_holdout(groups, 0.2, 0)
    assert sorted([*development, *holdout]) == list(range(len(groups)))
    assert not {groups[i] for i in development} & {groups[i] for i in holdout}
    assert abs(len(holdout) - 0.2 * len(groups)) <= 5
    with pytest.raises(DataError, match="their 2 groups stay whole, and the smallest has 4 clips"):
        split_holdout(["a"] * 4 + ["b"] * 4, 0.2, 0)
