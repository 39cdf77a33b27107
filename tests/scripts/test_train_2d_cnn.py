"""train_2d_cnn.py end to end on generated clips: one round of the loop, folds, networks, augmentations."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import predict_2d_cnn
import relabel_noisy_data
import train_2d_cnn
import train_hierarchical_cnn
from ops.errors import DataError
from ops.metrics import lwlrap
from toolkit.runs.history import read_history
from toy_data import CLASSES, with_noisy, with_test


def files_below(directory) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def truth_of(path, fnames) -> np.ndarray:
    labels = pd.read_csv(path).set_index("fname")["labels"]
    return np.array([[name in labels[fname].split(",") for name in CLASSES] for fname in fnames])


def test_one_round_of_the_loop(toy, training_flags, only_experiment, tmp_path):
    train_2d_cnn.main(training_flags(**with_test(toy), save_every=2, p_mixup=0.5))
    experiment = only_experiment()
    found = files_below(experiment)
    for fold in (0, 1):
        for name in ("best_model", "final_model", "model_on_epoch_1", "last"):
            assert f"checkpoints/fold_{fold}/{name}.pth" in found
        assert f"checkpoints/fold_{fold}/model_on_epoch_0.pth" not in found
    assert {"command", "commit_hash", "config.json", "log", "results.json"} <= found
    assert "predictions/submission.csv" in found

    results = json.loads((experiment / "results.json").read_text())
    out_of_fold = []
    for fold in (0, 1):
        table = pd.read_csv(experiment / f"predictions/val_preds_fold_{fold}.csv")
        assert list(table.columns) == [*CLASSES, "fname"]
        truth = truth_of(toy.folder / "train_curated.csv", table["fname"])
        assert results[f"fold{fold}"]["metric"] == pytest.approx(lwlrap(truth, table[CLASSES].to_numpy()))
        out_of_fold.append(table)
    both = pd.concat(out_of_fold)
    assert sorted(both["fname"]) == sorted(pd.read_csv(toy.folder / "train_curated.csv")["fname"])
    truth = truth_of(toy.folder / "train_curated.csv", both["fname"])
    assert results["metric"] == pytest.approx(lwlrap(truth, both[CLASSES].to_numpy()))

    submission = pd.read_csv(experiment / "predictions/submission.csv")
    folds = [pd.read_csv(experiment / f"predictions/test_preds_fold_{k}.csv") for k in (0, 1)]
    assert list(submission["fname"]) == list(pd.read_csv(toy.folder / "sample_submission.csv")["fname"])
    mean = (folds[0][CLASSES] + folds[1][CLASSES]) / 2
    np.testing.assert_allclose(submission[CLASSES], mean, rtol=1e-12)

    # Prediction of the same clips from outside gives the submission again, whatever the batch size.
    again = tmp_path / "again.csv"
    code = predict_2d_cnn.main(
        [f"--experiment={experiment}", f"--test_df={toy.folder / 'sample_submission.csv'}"]
        + [f"--test_data_dir={toy.folder / 'test'}", f"--classmap={toy.classmap}", f"--output_df={again}"]
        + ["--batch_size=3", "--num_workers=0", "--device=cpu"]
    )
    assert code == 0
    np.testing.assert_allclose(pd.read_csv(again)[CLASSES], submission[CLASSES], atol=1e-4)

    noisy = tmp_path / "noisy.csv"
    predict_2d_cnn.main(
        [f"--experiment={experiment}", f"--test_df={toy.folder / 'train_noisy.csv'}"]
        + [f"--test_data_dir={toy.folder / 'train_noisy'}", f"--classmap={toy.classmap}"]
        + [f"--output_df={noisy}", "--num_workers=0", "--device=cpu"]
    )
    kept = tmp_path / "kept.csv"
    relabel_noisy_data.main(
        [f"--noisy_df={toy.folder / 'train_noisy.csv'}", f"--noisy_predictions_df={noisy}"]
        + [f"--output_df={kept}", "--mode=scoring_6"]
    )
    table = pd.read_csv(kept)
    assert list(table.columns) == ["fname", "labels"] and len(table) == 6
    before = pd.read_csv(toy.folder / "train_noisy.csv").set_index("fname")["labels"]
    assert all(before[row.fname] == row.labels for row in table.itertuples())

    shutil.rmtree(experiment)
    train_2d_cnn.main(
        training_flags(
            "--share_noisy", noisy_train_df=kept, noisy_train_data_dir=toy.folder / "train_noisy", epochs=1
        )
    )
    log = (only_experiment() / "log").read_text()
    assert log.count("18 training and 12 validation clips") == 2


@pytest.mark.parametrize("features", ["stft_512_512", "mel_512_512_16"])
@pytest.mark.parametrize("aggregation_type", ["max", "rnn"])
@pytest.mark.parametrize("script", [train_2d_cnn, train_hierarchical_cnn])
def test_networks_heads_and_features_train(
    script, aggregation_type, features, training_flags, only_experiment
):
    script.main(
        training_flags("--folds", "0", aggregation_type=aggregation_type, features=features, epochs=1)
    )
    assert set(json.loads((only_experiment() / "results.json").read_text())) == {"fold0"}


def test_some_folds_now_and_the_others_later(toy, training_flags, only_experiment, capsys):
    """The published code failed at the end when not all folds were run."""
    train_2d_cnn.main(training_flags("--folds", "1", **with_test(toy), epochs=1))
    experiment = only_experiment()
    assert set(json.loads((experiment / "results.json").read_text())) == {"fold1"}
    assert not (experiment / "predictions/submission.csv").exists()
    assert "still to come: folds 0 (the same command with --folds 0 --resume" in capsys.readouterr().out
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", **with_test(toy), epochs=1))
    assert set(json.loads((experiment / "results.json").read_text())) == {"fold0", "fold1", "metric"}
    assert (experiment / "predictions/submission.csv").exists()


def test_noisy_clips_are_shared_out_over_folds(toy, training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", **with_noisy(toy), epochs=1))
    assert "20 training and 12 validation clips" in (only_experiment() / "log").read_text()


def test_holdout_is_scored_and_not_trained_on(toy, training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", holdout_size=0.25, epochs=1))
    result = json.loads((only_experiment() / "results.json").read_text())["fold0"]
    held_out = pd.read_csv(only_experiment() / "predictions/holdout_preds_fold_0.csv")
    assert len(held_out) == 6
    truth = truth_of(toy.folder / "train_curated.csv", held_out["fname"])
    assert result["holdout_metric"] == pytest.approx(lwlrap(truth, held_out[CLASSES].to_numpy()))
    assert "9 training and 9 validation clips" in (only_experiment() / "log").read_text()


@pytest.mark.parametrize("effects", [pytest.param("sox", marks=pytest.mark.needs_sox), "torch"])
def test_all_augmentations_and_worker_counts_give_the_same_run(toy, training_flags, tmp_path, effects):
    flags = {
        "p_mixup": 0.5,
        "p_aug": 0.7,
        "effects": effects,
        "p_shuffle": 0.5,
        "p_silence": 0.5,
        "p_spec_augment": 0.5,
        "switch_off_augmentations_on": 1,
        "output_dropout": 0.5,
        "epochs": 3,
    }
    runs = []
    for workers in (0, 3):
        folder = tmp_path / f"workers_{workers}"
        train_2d_cnn.main(
            training_flags("--folds", "0", **flags, num_workers=workers, experiments_dir=folder)
        )
        (path,) = folder.glob("*/checkpoints/fold_0/final_model.pth")
        runs.append(torch.load(path, weights_only=True)["model"])
    for name, values in runs[0].items():
        assert torch.equal(values, runs[1][name]), name


def test_experiment_holds_no_host_name_and_no_environment(training_flags, only_experiment, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "secret-host")
    monkeypatch.setenv("SECRET_TOKEN", "secret-value")
    train_2d_cnn.main(training_flags("--folds", "0", epochs=1))
    for path in only_experiment().rglob("*"):
        assert "secret" not in path.name
        if path.is_file():
            assert b"secret" not in path.read_bytes()


def test_training_in_mixed_precision(training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", "--amp", epochs=1))
    assert json.loads((only_experiment() / "config.json").read_text())["train"]["amp"] is True
    assert 0 < json.loads((only_experiment() / "results.json").read_text())["fold0"]["metric"] <= 1
    checkpoint = torch.load(only_experiment() / "checkpoints/fold_0/last.pth", weights_only=True)
    assert all(v.dtype == torch.float32 for v in checkpoint["model"].values() if v.is_floating_point())


def test_a_run_records_what_it_logs(training_flags, only_experiment, capsys):
    train_2d_cnn.main(training_flags("--folds", "1", "--quiet"))
    fold, directory = capsys.readouterr().out.splitlines()  # results alone
    assert fold.startswith("fold 1: metric 0.") and directory == str(only_experiment())
    rows = read_history(only_experiment() / "history/fold_1.csv")
    log = (only_experiment() / "log").read_text()
    assert [row.epoch for row in rows] == [0, 1]
    for row in rows:
        assert (
            f"epoch {row.epoch}: loss {row.train_loss:.4f}, valid {row.valid_loss:.4f}; "
            f"lwlrap {row.train_lwlrap:.4f}, valid {row.valid_lwlrap:.4f}"
        ) in log


def test_experiments_dir_that_is_a_file(toy, training_flags):
    with pytest.raises(DataError, match="expected a folder for experiments, found a file"):
        train_2d_cnn.main(training_flags(experiments_dir=toy.classmap))
