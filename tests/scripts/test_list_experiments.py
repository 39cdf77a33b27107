"""list_experiments.py: differing settings, folds done, metrics, durations, order, CSV."""

import json
import time

import numpy as np
import pandas as pd
import pytest

import list_experiments
import train_2d_cnn
from ops.errors import DataError
from toolkit.runs import comparison
from toolkit.runs.history import read_history


@pytest.fixture
def listed(training_flags, tmp_path, capsys):
    """Two experiments, the second with one of two folds; listed(flags...) -> printed lines."""
    train_2d_cnn.main(training_flags(epochs=1, label="a"))
    train_2d_cnn.main(training_flags("--folds", "1", epochs=1, label="b", conv_base_depth=5, p_mixup=0.5))
    capsys.readouterr()

    def run(*flags) -> list[str]:
        list_experiments.main([f"--experiments_dir={tmp_path / 'experiments'}", *flags])
        return capsys.readouterr().out.splitlines()

    return run


def test_experiments_are_listed_with_what_differs(listed, tmp_path):
    heading, first, second = listed(f"--csv={tmp_path / 'list.csv'}")
    names = ["experiment", "conv_base_depth", "p_mixup", "folds", "folds_mean", "metric", "time"]
    assert heading.split() == names
    found = json.loads(next((tmp_path / "experiments").glob("a-*/results.json")).read_text())
    mean = (found["fold0"]["metric"] + found["fold1"]["metric"]) / 2
    assert first.split()[1:6] == ["4", "0", "2/2", f"{mean:.4f}", f"{found['metric']:.4f}"]
    assert second.split()[1:4] == ["5", "0.5", "1/2"] and second.split()[5] == "-"
    table = pd.read_csv(tmp_path / "list.csv")
    assert table["metric"][0] == found["metric"] and np.isnan(table["metric"][1])
    assert list(table.columns) == [*names[:-1], "seconds"]
    for seconds, name in zip(table["seconds"], "ab", strict=True):
        records = (tmp_path / "experiments").glob(f"{name}-*/history/fold_*.csv")
        recorded = sum(pd.read_csv(path)["seconds"].sum() for path in records)
        assert seconds == pytest.approx(recorded) and seconds > 0


def test_times_are_shown_in_hours_minutes_and_seconds():
    shown = [comparison.as_clock(seconds) for seconds in (0, 59.6, 3723, 90000)]
    assert shown == ["0:00:00", "0:01:00", "1:02:03", "25:00:00"]


def test_the_seconds_of_an_epoch_are_those_that_passed(training_flags, only_experiment):
    started = time.monotonic()
    train_2d_cnn.main(training_flags("--folds", "1", epochs=2))
    passed = time.monotonic() - started
    seconds = [row.seconds for row in read_history(only_experiment() / "history/fold_1.csv")]
    assert len(seconds) == 2 and min(seconds) > 0 and sum(seconds) < passed


def test_order(listed):
    assert [line[0] for line in listed("--sort=conv_base_depth")[1:]] == ["b", "a"]
    assert [line[0] for line in listed("--sort=metric")[1:]] == ["a", "b"]  # none comes last
    assert [line[0] for line in listed("--sort=folds")[1:]] == ["b", "a"]
    with pytest.raises(DataError, match=r"got 'metrc' \(nearest: 'metric'\)"):
        listed("--sort=metrc")


def test_no_experiments(tmp_path):
    with pytest.raises(DataError, match="expected experiments"):
        list_experiments.main([f"--experiments_dir={tmp_path}"])
    with pytest.raises(DataError, match="expected a folder of experiments"):
        list_experiments.main([f"--experiments_dir={tmp_path / 'none'}"])
