"""The table of experiments: differing settings, folds done, metrics, durations, order, CSV."""

import json

import numpy as np
import pandas as pd
import pytest

import list_experiments
import train_2d_cnn
from ops.errors import DataError
from toolkit.runs.comparison import sorted_by
from toolkit.runs.durations import as_text, training_seconds


def test_durations_leave_out_pauses_and_other_folds(tmp_path):
    lines = [
        "2026-01-01 10:00:00 experiment x, device cpu",
        "2026-01-01 10:00:05 fold 0: 9 training and 3 validation clips",
        "2026-01-01 10:00:15 fold 0 epoch 0: train loss 1",  # 10
        "2026-01-01 10:00:16 fold 1: 9 training and 3 validation clips",  # another process
        "2026-01-01 10:00:20 fold 0 epoch 1: train loss 1",  # 5
        "2026-01-01 10:00:22 fold 0: interrupted in epoch 2, batch 1",  # 2
        "2026-01-01 10:00:36 fold 1 epoch 0: train loss 1",  # 20
        "2026-01-01 12:00:00 fold 0: 9 training and 3 validation clips",  # a pause
        "2026-01-01 12:00:01 fold 0: resumed at epoch 2, batch 1",  # 1
        "2026-01-01 11:59:58 fold 0 epoch 2: the clock was set back",
        "2026-01-01 12:00:58 fold 0: metric 0.5",  # 60
        "2026-01-01 13:00:58 fold 0: finished before, nothing to do",
        "2026-99-01 13:00:58 fold 0: no time",
        "no line",
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    assert training_seconds(tmp_path / "log") == 10 + 5 + 2 + 20 + 1 + 60
    assert training_seconds(tmp_path / "none") == 0
    assert [as_text(seconds) for seconds in (0, 59.6, 3723, 90000)] == [
        "0:00:00", "0:01:00", "1:02:03", "25:00:00",
    ]  # fmt: skip


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
    assert table["seconds"].ge(0).all() and list(table.columns) == [*names[:-1], "seconds"]


def test_order(listed):
    assert [line[0] for line in listed("--sort=conv_base_depth")[1:]] == ["b", "a"]
    assert [line[0] for line in listed("--sort=metric")[1:]] == ["a", "b"]  # none comes last
    assert [line[0] for line in listed("--sort=folds")[1:]] == ["b", "a"]
    with pytest.raises(DataError, match=r"got 'metrc' \(nearest: 'metric'\)"):
        listed("--sort=metrc")


def test_text_and_missing_settings_sort():
    table = pd.DataFrame({"setting": ["b", None, "a"], "mixed": [1, "x", None]})
    assert list(sorted_by(table, "setting").index) == [2, 0, 1]
    assert list(sorted_by(table, "mixed").index) == [0, 1, 2]


def test_no_experiments(tmp_path):
    with pytest.raises(DataError, match="expected experiments"):
        list_experiments.main([f"--experiments_dir={tmp_path}"])
    with pytest.raises(DataError, match="expected a folder of experiments"):
        list_experiments.main([f"--experiments_dir={tmp_path / 'none'}"])
