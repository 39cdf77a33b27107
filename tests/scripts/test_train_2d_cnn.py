"""Every script end to end on generated clips: one round of the loop, and what users do wrong."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import create_class_map
import predict_2d_cnn
import relabel_noisy_data
import score_predictions
import train_2d_cnn
import train_hierarchical_cnn
from ops.errors import DataError
from ops.metrics import lwlrap

CLASSES = ["Alarm", "Bell", "Birdsong", "Clicks", "Drum", "Engine", "Rain", "Siren"]


def with_test(toy) -> dict:
    return {"test_data_dir": toy.folder / "test", "sample_submission": toy.folder / "sample_submission.csv"}


def with_noisy(toy) -> dict:
    return {
        "noisy_train_df": toy.folder / "train_noisy.csv",
        "noisy_train_data_dir": toy.folder / "train_noisy",
    }


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


def test_tensorboard_summaries_open(training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=2, log_interval=1))
    curves = {}
    for part in ("train", "valid"):
        accumulator = EventAccumulator(str(only_experiment() / "summaries/fold_0" / part))
        curves[part] = accumulator.Reload()
    steps = [event.step for event in curves["train"].Scalars("loss")]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in curves["valid"].Scalars("lwlrap")] == [3, 6]
    assert {"loss", "lwlrap", "learning_rate"} <= set(curves["train"].Tags()["scalars"])
    assert any(tag.startswith("lwlrap_per_class/") for tag in curves["valid"].Tags()["scalars"])
    images = curves["train"].Tags()["images"]
    assert len(images) == 4 and all(tag.startswith("spectrograms/") for tag in images)


@pytest.mark.parametrize("effects", [pytest.param("sox", marks=pytest.mark.needs_sox), "torch"])
def test_all_augmentations_and_worker_counts_give_the_same_run(toy, training_flags, tmp_path, effects):
    flags = {
        "p_mixup": 0.5,
        "p_aug": 0.7,
        "effects": effects,
        "p_shuffle": 0.5,
        "p_silence": 0.5,
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


def test_clips_shorter_than_all_pooling_and_a_last_batch_of_one(
    toy, training_flags, tmp_path, only_experiment
):
    """The published code failed on both: batches of only short clips, and a batch of one clip."""
    folder = tmp_path / "short"
    folder.mkdir()
    fnames = [f"{i}.wav" for i in range(10)]
    for i, fname in enumerate(fnames):
        soundfile.write(folder / fname, np.random.default_rng(i).uniform(-0.5, 0.5, 100 + i), 44100)
    table = tmp_path / "short.csv"
    pd.DataFrame({"fname": fnames, "labels": ["Bell", "Drum"] * 5}).to_csv(table, index=False)
    train_2d_cnn.main(
        training_flags("--folds", "0", train_df=table, train_data_dir=folder, num_conv_blocks=4, epochs=1)
    )
    assert "5 training" in (only_experiment() / "log").read_text()  # batches of 4 and 1


def test_one_class_and_clips_without_labels(toy, training_flags, tmp_path, only_experiment):
    """Undefined metrics are null, and the last epoch counts as the best."""
    table, classmap = tmp_path / "empty.csv", tmp_path / "one.json"
    frame = pd.read_csv(toy.folder / "train_curated.csv").assign(labels="")
    frame.to_csv(table, index=False)
    classmap.write_text('{"Bell": 0}')
    train_2d_cnn.main(training_flags("--folds", "0", train_df=table, classmap=classmap))
    result = json.loads((only_experiment() / "results.json").read_text())["fold0"]
    assert result == {"metric": None, "best_epoch": 1}


def test_class_map(toy, tmp_path):
    create_class_map.main(
        [f"--train_df={toy.folder / 'train_curated.csv'}", f"--output_file={tmp_path / 'm.json'}"]
    )
    assert json.loads((tmp_path / "m.json").read_text()) == {name: i for i, name in enumerate(CLASSES)}


def test_score_of_known_predictions(tmp_path, capsys):
    (tmp_path / "truth.csv").write_text('fname,labels\na,X\nb,"X,Y"\n')
    (tmp_path / "preds.csv").write_text("X,Y,Z,fname\n0.1,0.2,0.3,b\n0.9,0.2,0.3,a\n")
    score_predictions.main(
        [f"--truth_df={tmp_path / 'truth.csv'}", f"--predictions_df={tmp_path / 'preds.csv'}", "--per_class"]
    )
    out = capsys.readouterr().out
    # a: 1; b: Y at rank 2 (1/2), X at rank 3 (2/3): (1 + 1/2 + 2/3) / 3
    assert f"{(1 + 1 / 2 + 2 / 3) / 3:.4f}" in out and "0.5000" in out


def test_experiment_holds_no_host_name_and_no_environment(training_flags, only_experiment, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "secret-host")
    monkeypatch.setenv("SECRET_TOKEN", "secret-value")
    train_2d_cnn.main(training_flags("--folds", "0", epochs=1))
    for path in only_experiment().rglob("*"):
        assert "secret" not in path.name
        if path.is_file():
            assert b"secret" not in path.read_bytes()


# What users do wrong: exit code, one line, nothing half-written.


def test_label_outside_the_class_map(toy, training_flags, tmp_path):
    classmap = tmp_path / "few.json"
    classmap.write_text(json.dumps({name: i for i, name in enumerate(CLASSES[1:])}))
    with pytest.raises(DataError, match="4 x unknown label: .*'Alarm' not in .*create_class_map.py"):
        train_2d_cnn.main(training_flags(classmap=classmap))
    assert not (tmp_path / "experiments").exists()


def test_all_unusable_clips_are_named_at_once(toy, training_flags, tmp_path):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0000.wav").unlink()
    (folder / "curated_0001.wav").write_bytes(b"")
    soundfile.write(folder / "curated_0002.wav", np.zeros(0), 44100)
    with pytest.raises(DataError, match="1 x missing: .*0000.*; 2 x empty: .*0001.*0002.*--skip_bad_clips"):
        train_2d_cnn.main(training_flags(train_data_dir=folder))
    assert not (tmp_path / "experiments").exists()


def test_problems_of_all_tables_are_told_at_once(toy, training_flags, tmp_path):
    folder, classmap = tmp_path / "clips", tmp_path / "few.json"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0002.wav").unlink()
    classmap.write_text(json.dumps({name: i for i, name in enumerate(CLASSES[1:])}))
    flags = {**with_noisy(toy), "noisy_train_data_dir": tmp_path / "none", "train_data_dir": folder}
    with pytest.raises(DataError) as raised:
        train_2d_cnn.main(training_flags(**flags, classmap=classmap))
    folders, labels, missing = raised.value.lines
    assert folders.startswith("1 x unusable table") and f"{tmp_path / 'none'}: expected the folder" in folders
    assert re.match(r"\d+ x unknown label: .*train_curated.csv: .*train_noisy.csv: ", labels)
    assert re.fullmatch(r"1 x missing: .*: curated_0002.wav; repair .*--skip_bad_clips", missing)


def test_ten_of_each_kind_and_the_count_a_line_a_kind(toy, training_flags, tmp_path, run_script):
    folder, table = tmp_path / "clips", tmp_path / "table.csv"
    shutil.copytree(toy.folder / "train_curated", folder)
    for number in range(12):
        (folder / f"curated_{number:04}.wav").unlink()
    (folder / "curated_0013.wav").write_bytes(b"no audio")
    rows = pd.read_csv(toy.folder / "train_curated.csv")
    pd.concat([rows, rows[20:22]]).to_csv(table, index=False)
    done = run_script("train_2d_cnn.py", *training_flags(train_df=table, train_data_dir=folder))
    assert done.returncode == 1
    ten = ", ".join(f"curated_{number:04}.wav" for number in range(10))
    repair = "repair or restore these files, remove their rows, or train with --skip_bad_clips"
    assert done.stderr.splitlines() == [
        f"error: 2 x duplicate fname: {table}: curated_0020.wav, curated_0021.wav; remove the extra rows",
        f"error: 12 x missing: {table}: {ten}; and 2 more; {repair}",
        f"error: 1 x unreadable: {table}: curated_0013.wav; {repair}",
    ]
    assert not (tmp_path / "experiments").exists()


def test_skipping_bad_clips_goes_on_and_lists_them(toy, training_flags, tmp_path, only_experiment):
    folder, test = tmp_path / "clips", tmp_path / "test"
    shutil.copytree(toy.folder / "train_curated", folder)
    shutil.copytree(toy.folder / "test", test)
    (folder / "curated_0000.wav").unlink()
    nan = np.full(999, np.nan, dtype=np.float32)
    soundfile.write(folder / "curated_0001.wav", nan, 44100, subtype="FLOAT")
    (test / "test_0003.wav").write_bytes(b"no audio")
    flags = {**with_test(toy), "train_data_dir": folder, "test_data_dir": test}
    with pytest.raises(DataError, match="1 x missing: .*curated_0000.*--skip_bad_clips"):
        train_2d_cnn.main(training_flags(**flags, epochs=1))
    train_2d_cnn.main(training_flags("--skip_bad_clips", **flags, epochs=1))
    skipped = pd.read_csv(only_experiment() / "skipped_clips.csv")
    assert list(skipped["fname"]) == ["curated_0000.wav", "curated_0001.wav", "test_0003.wav"]
    table = pd.read_csv(only_experiment() / "predictions/submission.csv").set_index("fname")
    np.testing.assert_allclose(table.loc["test_0003.wav"], table.drop("test_0003.wav").mean())


def test_a_clip_that_breaks_off_in_training_ends_it_in_one_line(toy, training_flags, tmp_path, run_script):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    values = np.zeros(44100, dtype=np.float32)
    values[77] = np.nan
    soundfile.write(folder / "curated_0003.wav", values, 44100, subtype="FLOAT")
    done = run_script("train_2d_cnn.py", *training_flags(train_data_dir=folder, num_workers=1))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "curated_0003.wav: expected finite samples" in done.stderr.splitlines()[-1]


def test_exit_codes_and_one_line(toy, training_flags, run_script, tmp_path):
    done = run_script("train_2d_cnn.py", *training_flags(train_df="missing.csv"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: missing.csv: expected a CSV table")
    done = run_script("relabel_noisy_data.py", "--mode", "scoring")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert not (tmp_path / "experiments").exists()


@pytest.fixture
def experiment(training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=1))
    return only_experiment()


def predict_flags(toy, experiment, tmp_path, **changed) -> list[str]:
    values = {
        "experiment": experiment,
        "test_df": toy.folder / "sample_submission.csv",
        "test_data_dir": toy.folder / "test",
        "classmap": toy.classmap,
        "output_df": tmp_path / "out.csv",
        "num_workers": 0,
        "device": "cpu",
        **changed,
    }
    return [f"--{key}={value}" for key, value in values.items()]


def test_prediction_survives_bad_clips(toy, experiment, tmp_path, capsys):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "test", folder)
    (folder / "test_0000.wav").unlink()
    values = np.full(44100, np.inf, dtype=np.float32)
    soundfile.write(folder / "test_0005.wav", values, 44100, subtype="FLOAT")
    code = predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, test_data_dir=folder))
    assert code == 3
    table = pd.read_csv(tmp_path / "out.csv").set_index("fname")
    assert len(table) == 8
    others = table.drop(["test_0000.wav", "test_0005.wav"])
    for fname in ("test_0000.wav", "test_0005.wav"):
        np.testing.assert_allclose(table.loc[fname], others.mean())
    bad = pd.read_csv(tmp_path / "out.csv.bad_clips.csv")
    assert list(bad["fname"]) == ["test_0000.wav", "test_0005.wav"]
    assert "test_0005.wav" in capsys.readouterr().err


def test_prediction_with_another_class_map_is_refused(toy, experiment, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"A": 0, "B": 1}')
    with pytest.raises(DataError, match="it has 2 classes, the experiment 8, 'A' not among them; give"):
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, classmap=other))
    classes = list(json.loads(toy.classmap.read_text()))
    other.write_text(json.dumps({name: row for row, name in enumerate(reversed(classes))}))
    with pytest.raises(DataError, match="it has the same classes in another order; give"):
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, classmap=other))
    assert not (tmp_path / "out.csv").exists()


def test_prediction_refuses_files_outside_the_folder(toy, experiment, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("fname\ntest_0000.wav\n../train_curated/curated_0000.wav\n")
    with pytest.raises(DataError, match="leads out of its folder"):
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, test_df=table))


def test_relabeling_joins_by_fname(tmp_path):
    """The published code aligned relabeled rows by position."""
    noisy, predictions, output = (tmp_path / name for name in ("noisy.csv", "preds.csv", "out.csv"))
    noisy.write_text("fname,labels\nc,X\na,X\nb,Y\n")
    predictions.write_text("X,Y,fname\n0.1,0.8,a\n0.9,0.1,b\n0.7,0.2,c\n")
    relabel_noisy_data.main(
        [f"--noisy_df={noisy}", f"--noisy_predictions_df={predictions}", f"--output_df={output}"]
        + ["--mode=relabelall_1"]
    )
    assert output.read_text() == "fname,labels\nc,X\na,Y\nb,X\n"


def test_relabeling_needs_a_prediction_of_every_clip(tmp_path):
    noisy, predictions, output = (tmp_path / name for name in ("noisy.csv", "preds.csv", "out.csv"))
    noisy.write_text("fname,labels\na,X\nb,X\n")
    predictions.write_text("X,Y,fname\n0.1,0.8,a\n")
    with pytest.raises(DataError, match="none of 'b'"):
        relabel_noisy_data.main(
            [f"--noisy_df={noisy}", f"--noisy_predictions_df={predictions}", f"--output_df={output}"]
            + ["--mode=scoring_1"]
        )
    assert not output.exists()


@pytest.mark.gpu
def test_gpu_and_cpu_predict_the_same(toy, experiment, tmp_path):
    tables = []
    for device in ("cpu", "cuda"):
        output = tmp_path / f"{device}.csv"
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, device=device, output_df=output))
        tables.append(pd.read_csv(output)[CLASSES].to_numpy())
    assert torch.cuda.is_available()
    np.testing.assert_allclose(tables[0], tables[1], atol=1e-4)
