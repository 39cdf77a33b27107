"""Training on data at the edge: silence, classes without clips, one clip, numbers that overflow."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import predict_2d_cnn
import train_2d_cnn
import train_hierarchical_cnn
from ops.errors import DataError


@pytest.fixture
def data_of(tmp_path):
    """data_of({fname: labels}, audio) -> flags of a table whose clips hold audio(number)."""

    def make(labels: dict[str, str], audio) -> dict:
        folder = tmp_path / "clips"
        folder.mkdir()
        for number, fname in enumerate(labels):
            soundfile.write(folder / fname, audio(number), 44100)
        table, classmap = tmp_path / "table.csv", tmp_path / "classes.json"
        pd.DataFrame({"fname": labels.keys(), "labels": labels.values()}).to_csv(table, index=False)
        classmap.write_text('{"A": 0, "B": 1, "Rare": 2, "Unheard": 3}')
        return {"train_df": table, "train_data_dir": folder, "classmap": classmap}

    return make


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(-0.5, 0.5, 9000 + 500 * number)


@pytest.mark.parametrize(
    "train, features, aggregation_type",
    [(train_2d_cnn, "mel_512_512_16", "max"), (train_hierarchical_cnn, "stft_256_128", "rnn")],
)
def test_nothing_but_silence(data_of, training_flags, only_experiment, train, features, aggregation_type):
    labels = {f"{i}.wav": "AB"[i % 2] for i in range(8)}
    flags = data_of(labels, lambda number: np.zeros(20_000))
    train.main(training_flags(**flags, features=features, aggregation_type=aggregation_type, p_mixup=0.5))
    results = json.loads((only_experiment() / "results.json").read_text())
    assert 0 < results["metric"] <= 1
    for fold in (0, 1):
        table = pd.read_csv(only_experiment() / f"predictions/val_preds_fold_{fold}.csv")
        values = table.drop(columns="fname").to_numpy()
        assert np.isfinite(values).all()
        np.testing.assert_allclose(values, values[:1].repeat(len(values), 0), atol=1e-6)  # all alike


def test_classes_without_a_positive_in_a_fold(data_of, training_flags, only_experiment):
    """Rare has one clip: it is missing in one fold's training, and in the other's validation."""
    labels = {f"{i}.wav": "AB"[i % 2] for i in range(8)} | {"8.wav": "Rare"}
    train_2d_cnn.main(training_flags(**data_of(labels, noise)))
    results = json.loads((only_experiment() / "results.json").read_text())
    heard = []
    for fold in (0, 1):
        assert 0 < results[f"fold{fold}"]["metric"] <= 1
        table = pd.read_csv(only_experiment() / f"predictions/val_preds_fold_{fold}.csv")
        assert list(table.columns) == ["A", "B", "Rare", "Unheard", "fname"]
        assert np.isfinite(table.drop(columns="fname").to_numpy()).all()
        events = EventAccumulator(str(only_experiment() / f"summaries/fold_{fold}/valid")).Reload()
        tags = events.Tags()["scalars"]
        assert not any(tag.endswith("Unheard") for tag in tags), "a class without clips has no score"
        assert all(math.isfinite(e.value) for tag in tags for e in events.Scalars(tag))
        heard.append(any(tag.endswith("Rare") for tag in tags))
    assert sorted(heard) == [False, True]


def test_one_clip_cannot_be_trained_on_but_predicted(data_of, training_flags, only_experiment, tmp_path):
    flags = data_of({f"{i}.wav": "AB"[i % 2] for i in range(4)}, noise)
    one = tmp_path / "one.csv"
    one.write_text("fname,labels\n3.wav,B\n")
    with pytest.raises(DataError, match=r"1 .*2 folds|2 folds.* 1 "):
        train_2d_cnn.main(training_flags(**{**flags, "train_df": one}))
    assert not (tmp_path / "experiments").exists()

    train_2d_cnn.main(training_flags("--folds", "0", **flags))
    rows = []
    for table in (one, flags["train_df"]):
        output = tmp_path / f"{table.name}.predictions"
        predict_2d_cnn.main(
            [f"--experiment={only_experiment()}", f"--test_df={table}", f"--output_df={output}"]
            + [f"--test_data_dir={flags['train_data_dir']}", f"--classmap={flags['classmap']}"]
            + ["--device=cpu", "--num_workers=0"]
        )
        rows.append(pd.read_csv(output).set_index("fname").loc["3.wav"].to_numpy(float))
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


def test_a_loss_that_overflows_ends_the_run_with_the_last_good_state(training_flags, only_experiment):
    """The learning rate explodes in epoch 1: the message says where, last.pth is that of epoch 0."""
    flags = training_flags("--folds", "0", optimizer="momentum", scheduler="steplr_1_1e35", lr=0.01, epochs=3)
    with pytest.raises(DataError, match=r"epoch 1, batch [12], with the clips curated_\d+.wav, .*last.pth"):
        train_2d_cnn.main(flags)
    last = torch.load(only_experiment() / "checkpoints/fold_0/last.pth", weights_only=True)
    assert (last["progress"]["epoch"], last["progress"]["batch"]) == (1, 0)
    assert all(torch.isfinite(values.float()).all() for values in last["model"].values())


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
