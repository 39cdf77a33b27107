"""The calibration of an experiment, and what it does to a threshold."""

import json

import numpy as np
import pandas as pd
import pytest

import relabel_noisy_data
from made_scores import CLASSES, shifted_clips
from ops.calibration import fit_calibration
from ops.errors import DataError
from run_configs import run_config
from toolkit.prediction.calibration import calibration_of
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, write_predictions


@pytest.fixture
def experiment(tmp_path):
    """Not trained: an experiment's directory with the out-of-fold predictions of shifted scores."""
    truth, scores = shifted_clips(2, 300)
    fnames = [f"curated{row}" for row in range(300)]
    cells = [",".join(np.array(CLASSES)[row]) for row in truth]
    table = tmp_path / "curated.csv"
    pd.DataFrame({"fname": fnames, "labels": cells}).to_csv(table, index=False)
    directory = tmp_path / "experiment"
    (directory / "predictions").mkdir(parents=True)
    config = run_config(classes=CLASSES, train_df=str(table))
    (directory / "config.json").write_text(json.dumps(config.to_json()))
    (directory / "results.json").write_text('{"fold0": {"metric": 0.5}, "fold1": {"metric": 0.5}}')
    for fold in (0, 1):
        rows = slice(fold, None, 2)
        predictions = Predictions(fnames[rows], CLASSES, scores[rows])
        write_predictions(directory / f"predictions/val_preds_fold_{fold}.csv", predictions)
    return directory


def test_it_is_fit_on_all_out_of_fold_predictions(experiment):
    truth, scores = shifted_clips(2, 300)
    found, expected = calibration_of(Experiment.load(experiment)), fit_calibration(scores, truth)
    assert found.slope == pytest.approx(expected.slope, rel=1e-4)
    assert found.intercept == pytest.approx(expected.intercept, rel=1e-4)


def test_the_threshold_fails_on_shifted_scores_and_recovers(experiment, tmp_path, capsys):
    truth, scores = shifted_clips(3, 500)
    fnames = [f"noisy{row}" for row in range(500)]
    write_predictions(tmp_path / "predictions.csv", Predictions(fnames, CLASSES, scores))
    pd.DataFrame({"fname": fnames, "labels": "A"}).to_csv(tmp_path / "noisy.csv", index=False)
    flags = [f"--noisy_df={tmp_path / 'noisy.csv'}", "--mode=relabelall-replacenan_1.17",
             f"--noisy_predictions_df={tmp_path / 'predictions.csv'}"]  # fmt: skip

    def score(*extra: str) -> tuple[float, float]:
        relabel_noisy_data.main([*flags, f"--output_df={tmp_path / 'out.csv'}", *extra])
        table = pd.read_csv(tmp_path / "out.csv").set_index("fname")["labels"]
        found = np.array([[c in table.get(f, "").split(",") for c in CLASSES] for f in fnames])
        return (found & truth).sum() / found.sum(), (found & truth).sum() / truth.sum()

    precision, recall = score()
    assert precision < 0.7 and recall < 0.7
    precision, recall = score("--calibrate", "--experiment", str(experiment))
    assert precision > 0.93 and recall > 0.9


def test_usage(experiment, tmp_path, capsys):
    flags = ["--noisy_df=a", "--noisy_predictions_df", "b", "c", "d", "--output_df", str(tmp_path / "o.csv")]
    with pytest.raises(SystemExit) as stopped:
        relabel_noisy_data.main([*flags, "--mode=scoring_1", "--calibrate"])
    assert stopped.value.code == 2 and "--experiment" in capsys.readouterr().err
    with pytest.raises(DataError, match="one for each of the 3"):
        relabel_noisy_data.main(
            [*flags, "--mode=scoring_1", "--calibrate", "--experiment", str(experiment), str(experiment)]
        )
    pd.DataFrame({"fname": ["other"], "labels": ["A"]}).to_csv(tmp_path / "curated.csv", index=False)
    with pytest.raises(DataError, match="found none of 'curated0' .* was trained on"):
        calibration_of(Experiment.load(experiment))
