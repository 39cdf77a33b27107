"""The report's data, without a browser."""

import json

import numpy as np
import pytest

from ops.calibration import Calibration
from ops.errors import DataError
from ops.metrics import lwlrap
from page_data import CLASSES, IMAGE, SCORES, data_of, make_experiment, make_report
from toolkit.runs.tag_rules import TagRules


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return make_experiment(tmp_path_factory.mktemp("report"))


def test_the_reports_numbers(experiment):
    data = data_of(make_report(experiment, "--max_clips=4"))
    assert data["n_clips"] == 6 and len(data["folds"]) == 2
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    assert data["metric"] == pytest.approx(lwlrap(truth, SCORES), abs=1e-12)
    assert data["folds"][0]["epochs"][2] == [2, 1, 0.7, 1.5, 0.5, 0.001, 1.5]
    assert data["folds"][1]["metric"] is None and data["folds"][1]["finished"]
    rows = {row["name"]: row for row in data["classes"]}
    assert {name: row["clips"] for name, row in rows.items()} == dict(zip(CLASSES, (3, 1, 1, 2), strict=True))
    # Ranks of Bark's own label: 1; 3 with one true label above; 2.
    assert rows["Bark"]["lwlrap"] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert data["classes"][0]["lwlrap"] == min(row["lwlrap"] for row in data["classes"])
    assert sum(row["cost"] for row in data["confusions"]) == pytest.approx(1 - data["metric"])
    assert sum(row["share"] for row in data["confusions"]) == pytest.approx(1)
    # The third clip's Übung has the rank 4 (ties count): three wrong classes above it.
    assert data["clips"][0]["fname"] == IMAGE and data["clips"][0]["lrap"] == 0.25
    assert data["clips"][0]["scores"][0] == ["Bark", 0.9, 1] and data["clips"][0]["fold"] == 0
    assert len(data["clips"]) == 3  # the others are right


def test_tags_have_their_f1(tmp_path):
    experiment = make_experiment(tmp_path)
    assert data_of(make_report(experiment))["tag_f1"] is None
    rules = TagRules(
        CLASSES, Calibration(1, 0), np.zeros(4), -60, 1, 1
    )  # everything applies: 7 of 24 are right
    (experiment.directory / "tags.json").write_text(json.dumps(rules.to_json()))
    assert data_of(make_report(experiment))["tag_f1"] == pytest.approx(2 * 7 / (24 + 7))


def test_before_a_fold_is_finished_there_are_curves_only(tmp_path):
    experiment = make_experiment(tmp_path)
    (experiment.directory / "results.json").unlink()
    data = data_of(make_report(experiment))
    assert len(data["folds"][0]["epochs"]) == 3 and not data["clips"] and data["metric"] is None


def test_moved_data_are_named_and_given_by_flags(tmp_path):
    experiment = make_experiment(tmp_path)
    moved = tmp_path / "moved"
    moved.mkdir()
    experiment.clips.rename(moved / "clips")
    with pytest.raises(DataError, match="--train_data_dir"):
        make_report(experiment)
    experiment.table.rename(moved / "train.csv")
    with pytest.raises(DataError, match="train.csv.*does not exist.*--train_df"):
        make_report(experiment)
    assert not experiment.page.exists()
    make_report(experiment, f"--train_df={moved / 'train.csv'}", f"--train_data_dir={moved / 'clips'}")
    assert len(data_of(experiment.page)["clips"]) == 3
    (moved / "train.csv").write_text("fname,labels\nplain.wav,Bark\n")
    with pytest.raises(DataError, match="5 missing in all.*--train_df"):
        make_report(experiment, f"--train_df={moved / 'train.csv'}")
