"""tags.json: what was written is read, anything else gives one line."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.calibration import Calibration
from ops.errors import DataError
from ops.familiarity import Familiarity
from toolkit.runs.tag_rules import TagRules, read_rules

TESTS = Familiarity(np.array([0.5, 1 / 3]), np.array([1.0, 2]), np.array([-1.0, 0.25]), 0.1, 2.5)
RULES = TagRules(["A", "B"], Calibration(1.5, -0.25), np.array([0.3, 0.45]), -60, 1.0, 0.5, {0: TESTS})


def test_a_round_trip_keeps_six_digits(tmp_path):
    path = tmp_path / "tags.json"
    path.write_text(json.dumps(RULES.to_json()))
    found = read_rules(path, ["A", "B"])
    assert found.to_json() == RULES.to_json() and found.calibration == RULES.calibration
    assert found.familiarity[0].mean.tolist() == [0.5, 0.333333]
    assert read_rules(tmp_path / "other.json", ["A", "B"]) is None


def test_other_classes_are_refused(tmp_path):
    path = tmp_path / "tags.json"
    path.write_text(json.dumps(RULES.to_json()))
    with pytest.raises(DataError, match="tags.json: expected.*other classes.*remove it"):
        read_rules(path, ["B", "A"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.sampled_from(
        ["classes", "calibration", "thresholds", "silence_db", "timeline_seconds", "familiarity"]
    ),
    st.one_of(st.none(), st.text(max_size=3), st.integers(-1, 0), st.lists(st.integers(), max_size=1)),
)
def test_any_damage_gives_one_line(tmp_path, key, value):
    path = tmp_path / "tags.json"
    path.write_text(json.dumps(RULES.to_json() | {key: value}))
    try:
        read_rules(path, ["A", "B"])
    except DataError as error:
        assert "\n" not in str(error) and "tags.json" in str(error)
    else:
        assert key == "silence_db" and isinstance(value, int)  # any level is one
