"""The report's data, without a browser."""

import json

import numpy as np
import pytest

from ops.calibration import Calibration
from ops.errors import DataError
from ops.metrics import lwlrap
from page_data import CLASSES, FNAMES, IMAGE, SCORES, data_of, make_experiment, make_report
from toolkit.runs.tag_rules import TagRules


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return make_experiment(tmp_path_factory.mktemp("report"))


def test_the_reports_numbers(experiment):
    data = data_of(make_report(experiment, "--max_clips=4"))
    assert data["figures"]["clips"] == 6 and data["figures"]["classes"] == 4 and len(data["folds"]) == 2
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    metric = data["figures"]["lwlrap"]
    assert metric == pytest.approx(lwlrap(truth, SCORES), abs=1e-12)
    assert data["figures"]["low"] < metric < data["figures"]["high"]
    assert data["figures"]["accuracy"] == pytest.approx(4 / 6)
    assert data["folds"][0]["epochs"][2] == [2, 1, 0.7, 1.5, 0.5, 0.001, 1.5]
    assert data["folds"][1]["metric"] is None and data["folds"][1]["finished"]
    rows = {row["name"]: row for row in data["classes"]}
    assert {name: row["clips"] for name, row in rows.items()} == dict(zip(CLASSES, (3, 1, 1, 2), strict=True))
    # Ranks of Bark's own label: 1; 3 with one true label above; 2.
    assert rows["Bark"]["lwlrap"] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert data["classes"][0]["lwlrap"] == min(row["lwlrap"] for row in data["classes"])
    assert sum(row["cost"] for row in data["confusions"]) == pytest.approx(1 - metric)
    assert sum(row["share"] for row in data["confusions"]) == pytest.approx(1)
    # The third clip's Übung has the rank 4 (ties count): three wrong classes above it.
    assert data["clips"][0]["fname"] == IMAGE and data["clips"][0]["lrap"] == 0.25
    assert data["clips"][0]["scores"][0] == ["Bark", 0.9, 1] and data["clips"][0]["fold"] == 0
    assert [clip["lrap"] for clip in data["clips"]][3:] == [
        1
    ]  # further ones are right, the least certain first
    data = data_of(make_report(experiment))
    assert [clip["fname"] for clip in data["clips"]][3:] == [FNAMES[4], FNAMES[1], FNAMES[0]]
    bark, bell, script, _ = CLASSES
    assert {tuple(cell[:2]): cell[2] for cell in data["matrix"]} == {
        (bark, bark): 2,
        (bark, script): 1,
        (bell, bell): 1,
        (script, script): 1,
        ("Übung", "Übung"): 1,
        ("Übung", bark): 1,
    }


def test_a_report_tells_when_and_how_it_was_trained(tmp_path):
    experiment = make_experiment(tmp_path)
    data = data_of(make_report(experiment))
    assert data["started"] == "" and data["commands"] == [] and data["n_noisy"] == 0
    (experiment.directory / "sessions.csv").write_text("session,started\n1,2024-05-06 07:08:09\n2,later\n")
    (experiment.directory / "command").write_text("train_2d_cnn.py --label 'a b'\n")
    (experiment.directory / "noisy_folds.csv").write_text("fname,folds\na.wav,0\nb.wav,1\n")
    data = data_of(make_report(experiment))
    assert data["started"] == "2024-05-06 07:08:09" and data["n_noisy"] == 2
    assert data["commands"] == ["train_2d_cnn.py --label 'a b'"]


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
    assert len(data["folds"][0]["epochs"]) == 3 and not data["clips"] and data["figures"] is None


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
    assert len(data_of(experiment.page)["clips"]) == 6
    (moved / "train.csv").write_text("fname,labels\nplain.wav,Bark\n")
    with pytest.raises(DataError, match="5 missing in all.*--train_df"):
        make_report(experiment, f"--train_df={moved / 'train.csv'}")
