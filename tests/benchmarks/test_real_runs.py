"""Flags of the real runs that the benchmarks start."""

import noisy
import pytest
import real_runs


def test_flags_of_zero_are_flags():
    spelled = real_runs.spelled({"p_mixup": 0, "amp": True, "share_noisy": False, "label": None, "lr": 0.1})
    assert spelled == ["--p_mixup=0", "--amp", "--lr=0.1"]


def test_a_source_that_is_not_there_ends_in_a_line(tmp_path, capfd):
    """The data script says what to do, the benchmark which layout is missing."""
    args = noisy.parse_args([f"--work_dir={tmp_path / 'work'}", f"--source_dir={tmp_path / 'none'}"])
    with pytest.raises(
        SystemExit, match="digits-1-0.2: was not made, .*make_layout.py ended with"
    ) as stopped:
        real_runs.make_layout(args, 1, real_runs.EVEN)
    assert "\n" not in str(stopped.value)
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "download_data.py fsdd --output_dir" in error
