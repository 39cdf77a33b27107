"""The table of experiments: the time of their epochs; sorted by any column."""

import json
import math

import pandas as pd
import pytest

from run_configs import run_config
from toolkit.runs.comparison import find_experiments, sorted_by, table_of
from toolkit.runs.history import EpochResult, record_epoch

EPOCH = (0.5, 0.25, 0.5, 0.25, 1e-4)


@pytest.mark.parametrize(
    "folds, expected",
    [
        ([], 0),  # nothing is trained yet, or an older version recorded no epochs
        ([[1.5, 2.25], [10]], 13.75),
        ([[math.nan, 2], [math.nan]], 2),  # an older version began it
    ],
)
def test_seconds_of_all_epochs(folds, expected, tmp_path):
    (tmp_path / "a-0a1b2c3d/history").mkdir(parents=True)
    config = run_config("a", n_folds=5)
    (tmp_path / "a-0a1b2c3d/config.json").write_text(json.dumps(config.to_json()))
    for fold, epochs in enumerate(folds):
        for epoch, seconds in enumerate(epochs):
            path = tmp_path / f"a-0a1b2c3d/history/fold_{fold}.csv"
            record_epoch(path, EpochResult(epoch, *EPOCH, seconds))
    assert list(table_of(find_experiments(tmp_path))[0]["seconds"]) == [expected]


def test_text_and_missing_settings_sort():
    table = pd.DataFrame({"setting": ["b", None, "a"], "mixed": [1, "x", None]})
    assert list(sorted_by(table, "setting").index) == [2, 0, 1]
    assert list(sorted_by(table, "mixed").index) == [0, 1, 2]
