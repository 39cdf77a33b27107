"""The labels of a table's clips."""

import pytest

from ops.errors import DataError
from toolkit.clips.truth import class_map_of_table, truth_of

CLASS_MAP = {"Bark": 0, "Meow": 1, "Run": 2}


def test_the_class_map_of_a_table(tmp_path):
    (tmp_path / "t.csv").write_text('fname,labels\na,"Run,Bark"\nb,Meow\n')
    assert class_map_of_table(tmp_path / "t.csv") == CLASS_MAP


def test_truth_is_in_the_order_of_clips_and_classes_and_names_what_the_table_lacks(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('fname,labels\na,"Run,Bark"\nb,Meow\nc,\n')
    assert truth_of(table, ["c", "a"], ["Meow", "Run", "Bark"]).tolist() == [[0, 0, 0], [0, 1, 1]]
    with pytest.raises(DataError, match=r"t\.csv: .* all 3 clips .* none of 'd' \(2 missing in all\); ask"):
        truth_of(table, ["a", "d", "e"], list(CLASS_MAP), "ask")
    with pytest.raises(DataError, match=r"t\.csv: label 'Run' of clip 'a' not in the class map"):
        truth_of(table, ["a"], ["Bark"])
