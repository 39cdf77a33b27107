"""Calibration: free of shifts, fit on clips with known labels; and what it does to a threshold."""

import json

import numpy as np
import pandas as pd
import pytest

import relabel_noisy_data
from ops.calibration import Calibration, fit_calibration, relative_logits
from ops.errors import DataError
from toolkit.prediction.calibration import calibration_of
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, write_predictions

CLASSES = ["A", "B", "C", "D", "E"]


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))


def shifted_clips(seed: int, n: int):
    """Scores that rank well within a clip, and move up and down together from clip to clip."""
    rng = np.random.default_rng(seed)
    truth = np.eye(len(CLASSES), dtype=bool)[rng.integers(0, len(CLASSES), n)]
    second = rng.random(n) < 0.2
    truth[second, rng.integers(0, len(CLASSES), second.sum())] = True
    logits = np.where(truth, 3.0, -3.0) + rng.normal(0, 1, truth.shape)
    return truth, sigmoid(logits + rng.normal(0, 4, (n, 1)))


def test_relative_logits_by_hand():
    found = relative_logits(sigmoid([[2.0, 1.0, -1.0]]))
    others = [np.log(np.exp(1) + np.exp(-1)), np.log(np.exp(2) + np.exp(-1)), np.log(np.exp(2) + np.exp(1))]
    np.testing.assert_allclose(found, [[2 - others[0], 1 - others[1], -1 - others[2]]], rtol=1e-9)
    np.testing.assert_allclose(relative_logits(np.array([[0.2, 0.7]])).sum(), 0, atol=1e-12)
    np.testing.assert_allclose(relative_logits(sigmoid([[0.7]])), [[0.7]])  # one class


def test_a_shift_changes_nothing_and_the_order_stays():
    logits = np.random.default_rng(0).normal(0, 3, (50, 7))
    shift = np.linspace(-12, 12, 50)[:, None]
    expected = relative_logits(sigmoid(logits))
    np.testing.assert_allclose(relative_logits(sigmoid(logits + shift)), expected, atol=1e-3)
    found = Calibration(0.8, -0.3).apply(sigmoid(logits + shift))
    np.testing.assert_array_equal(found.argsort(axis=1), logits.argsort(axis=1))


def test_saturated_scores_stay_finite():
    assert np.isfinite(relative_logits(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))).all()


def test_calibrated_probabilities_come_true():
    truth, scores = shifted_clips(0, 4000)
    found = fit_calibration(*reversed(shifted_clips(1, 2000))).apply(scores)
    for low, high in ((0.0, 0.1), (0.3, 0.7), (0.9, 1.0)):
        pairs = (found >= low) & (found <= high)
        assert truth[pairs].mean() == pytest.approx(found[pairs].mean(), abs=0.06)


def test_scores_that_say_nothing_are_refused():
    truth, scores = shifted_clips(0, 100)
    with pytest.raises(DataError, match="found the opposite"):
        fit_calibration(1 - scores, truth)
    with pytest.raises(DataError, match="some of the classes"):
        fit_calibration(scores, np.zeros_like(truth))


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
    data = {"classes": CLASSES, "n_folds": 2, "train_df": str(table)}
    config = {"network": {}, "data": data, "train": {}, "label": "x"}
    (directory / "config.json").write_text(json.dumps(config))
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
    with pytest.raises(DataError, match="found no 'curated0'"):
        calibration_of(Experiment.load(experiment))
