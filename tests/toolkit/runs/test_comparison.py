"""The table of experiments is sorted by any column."""

import pandas as pd

from toolkit.runs.comparison import sorted_by


def test_text_and_missing_settings_sort():
    table = pd.DataFrame({"setting": ["b", None, "a"], "mixed": [1, "x", None]})
    assert list(sorted_by(table, "setting").index) == [2, 0, 1]
    assert list(sorted_by(table, "mixed").index) == [0, 1, 2]
