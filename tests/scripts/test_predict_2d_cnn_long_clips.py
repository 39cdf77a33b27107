"""Very long clips: scored in windows by a table, too, and in training."""

import shutil

import pandas as pd

import predict_2d_cnn
import toolkit.clips.loading as loading
import train_2d_cnn


def test_very_long_clips_are_scored_in_windows_by_a_table_and_in_training(
    toy, training_flags, only_experiment, tmp_path, monkeypatch
):
    """Where a second is very long: both have the same scores, others than whole clips have."""
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    monkeypatch.setattr(loading, "MAX_WHOLE_SECONDS", 1)
    monkeypatch.setattr(loading, "WINDOW_SECONDS", 0.5)
    flags = {"train_data_dir": folder, "sample_submission": toy.folder / "sample_submission.csv"}
    train_2d_cnn.main(training_flags("--folds", "0", **flags, test_data_dir=toy.folder / "test", epochs=1))
    table = [f"--test_df={toy.folder / 'sample_submission.csv'}", f"--test_data_dir={toy.folder / 'test'}"]
    common = [f"--experiment={only_experiment()}", "--device=cpu", "--num_workers=0"]
    predict_2d_cnn.main([*common, *table, f"--classmap={toy.classmap}", f"--output_df={tmp_path / 'a.csv'}"])
    in_training = pd.read_csv(only_experiment() / "predictions/test_preds_fold_0.csv").set_index("fname")
    of_table = pd.read_csv(tmp_path / "a.csv").set_index("fname")
    assert (in_training - of_table).abs().to_numpy().max() < 1e-4
    monkeypatch.setattr(loading, "MAX_WHOLE_SECONDS", 300)
    predict_2d_cnn.main([*common, *table, f"--classmap={toy.classmap}", f"--output_df={tmp_path / 'b.csv'}"])
    whole = pd.read_csv(tmp_path / "b.csv").set_index("fname")
    assert (whole - of_table).abs().to_numpy().max() > 1e-4
