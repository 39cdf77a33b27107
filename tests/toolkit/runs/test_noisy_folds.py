"""Which folds saw a noisy clip."""

from toolkit.runs.noisy_folds import united


def test_what_a_warm_start_saw_counts():
    first = {"a": frozenset({0}), "b": frozenset({1})}
    second = {"b": frozenset({0}), "c": frozenset({1})}
    assert united(first, second) == {"a": frozenset({0}), "b": frozenset({0, 1}), "c": frozenset({1})}
