"""Flags of the real runs that the benchmarks start."""

import real_runs


def test_flags_of_zero_are_flags():
    spelled = real_runs.spelled({"p_mixup": 0, "amp": True, "share_noisy": False, "label": None, "lr": 0.1})
    assert spelled == ["--p_mixup=0", "--amp", "--lr=0.1"]
