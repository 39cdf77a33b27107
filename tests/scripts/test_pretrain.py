"""pretrain.py from end to end, killed and resumed, and the scripts that start from its experiments."""

import csv
import json
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

import pretrain
import run_noisy_rounds
import train_2d_cnn
import train_hierarchical_cnn
from command_lines import usage_error
from ops.errors import DataError
from toolkit.runs.comparison import table_of
from toolkit.runs.experiment import Experiment
from toy_data import with_noisy, with_test


@pytest.fixture
def flags(training_flags, toy, tmp_path):
    """flags(folder, ...) -> a tiny pretraining into tmp_path/folder."""

    def make(folder: str = "pretrained", *extra: str, **changed) -> list[str]:
        values = {"experiments_dir": tmp_path / folder, "network": "2d", "objective": "contrastive"}
        given = training_flags("--folds", **{**values, "batch_size": 8, **changed})
        return [flag for flag in [*given, *extra] if flag != "--folds"]

    return make


def only(folder):
    (directory,) = folder.iterdir()
    return directory


def outcome(folder) -> dict[str, object]:
    """What a pretraining hands on and tells; of its history all but the seconds."""
    experiment = only(folder)
    rows = list(csv.reader((experiment / "history/fold_0.csv").read_text().splitlines()))
    weights = experiment / "checkpoints/fold_0/final_model.pth"
    return {
        "weights": weights.read_bytes(),
        "results": (experiment / "results.json").read_bytes(),
        "history": [row[:-1] for row in rows],
    }


def scalars(folder) -> set[str]:
    """The tags of all event files; a record is a length, its checksum, the event and its checksum."""
    tags = set()
    for path in folder.rglob("events*"):
        content, at = path.read_bytes(), 0
        while at < len(content):
            size = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + size])
            tags |= {value.tag for value in event.summary.value}
            at += 16 + size
    return tags


def test_killed_and_resumed_it_ends_with_the_same_bytes_and_training_starts_from_it(
    zygote, flags, toy, training_flags, tmp_path
):
    every = {**with_noisy(toy), **with_test(toy), "probe_every": 1}
    pretrain.main(flags("whole", **every))
    parts = flags("parts", "--resume", **every, num_workers=2)
    for number in (42, 16):  # within the last epoch's files, and again
        status = zygote.wait(zygote.start(parts, kill_at_write=number, script="pretrain"))
        assert status == -signal.SIGKILL, zygote.output()
    assert zygote.run(parts, script="pretrain") == 0, zygote.output()
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    experiment = only(tmp_path / "whole")
    found = json.loads((experiment / "results.json").read_text())["pretraining"]
    history = pd.read_csv(experiment / "history/fold_0.csv")
    assert history["valid_lwlrap"].notna().all() and found["probe_lwlrap"] == history["valid_lwlrap"].iloc[-1]
    assert found["epochs"] == 2 and 0 < found["probe_lwlrap"] < 1
    assert not (experiment / "noisy_folds.csv").exists()  # no label of them was seen
    listed, errors = table_of([experiment])
    assert not errors and listed["folds"].isna().all()  # it has none
    assert {"loss", "learning_rate", "probe_lwlrap"} <= scalars(experiment / "summaries")
    pretrain.main(parts)
    log = (only(tmp_path / "parts") / "log").read_text()
    assert "resumed at epoch 1, batch 0" in log and "finished before, nothing to do" in log

    # Training of other folds, with a learning rate of 0: its blocks are the pretrained ones, the head is not.
    start = {"init_from": experiment, "scheduler": None, "lr": 0, "epochs": 1, "n_folds": 3}
    train_2d_cnn.main(training_flags("--folds", "2", **start))
    trained = only(tmp_path / "experiments")
    weights, before = (
        torch.load(path / f"checkpoints/{name}.pth", weights_only=True)["model"]
        for path, name in ((trained, "fold_2/best_model"), (experiment, "fold_0/final_model"))
    )
    assert {name.split(".")[0] for name in before} == {"blocks"}
    learned = {name for name in before if name.endswith(("weight", "bias"))}
    assert all(torch.equal(weights[name], before[name]) for name in learned)
    assert f"starts from {experiment}, pretrained without labels" in (trained / "log").read_text()
    with pytest.raises(DataError, match="expects an experiment of the same conv_base_depth, found 4, here 5"):
        train_2d_cnn.main(training_flags(**start, conv_base_depth=5))
    with pytest.raises(DataError, match="same kind, found '2d', here '1d'"):
        train_hierarchical_cnn.main(training_flags(**start))
    with pytest.raises(DataError, match="pretrained without labels; train from it"):
        Experiment.load(experiment).trained_folds()


def test_rounds_start_from_cpc_of_the_1d_network_unless_it_is_unfinished(flags, rounds_flags, tmp_path):
    pretrain.main(flags(objective="cpc", network="1d"))
    experiment = only(tmp_path / "pretrained")
    losses = pd.read_csv(experiment / "history/fold_0.csv")["train_loss"]
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    rounds = [f"--init_from={experiment}", "--folds", "0"]
    run_noisy_rounds.main(rounds_flags(tmp_path / "rounds", ["scoring_6"], *rounds, network="1d"))
    for one in (tmp_path / "rounds/experiments").iterdir():
        config = json.loads((one / "config.json").read_text())
        assert config["train"]["init_from"]["experiment"] == str(experiment)
    (experiment / "results.json").unlink()
    with pytest.raises(DataError, match="its pretraining, for --init_from, is not finished"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "again", ["scoring_6"], *rounds, network="1d"))


def test_two_processes_pretrain_together(zygote, flags, tmp_path):
    """12 clips of a table, of which the last batch has one: a process without a clip waits for the other."""
    given = flags("ranks", objective="contrastive", epochs=1, max_samples=12, batch_size=11)
    assert zygote.run_ranks(given, script="pretrain") == [0, 0], zygote.output()
    assert "probe_lwlrap" in (only(tmp_path / "ranks") / "results.json").read_text()


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({"objective": "cpd"}, "expected one of 'contrastive', 'cpc', got 'cpd' (nearest: 'cpc')"),
        ({"steps": 2}, "--steps goes with --objective=cpc"),
        ({"test_data_dir": "test"}, "--test_data_dir and --sample_submission go together"),
        ({"noisy_train_df": "noisy.csv"}, "--noisy_train_df and --noisy_train_data_dir go together"),
        ({"num_conv_blocks": 5}, "5 blocks halve the features to nothing"),
        ({"features": None}, "the following arguments are required: --features"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(flags, changed, expected, capsys):
    assert expected in usage_error(capsys, pretrain.parse_args, flags(**changed))


def test_segments_too_short_to_predict_from_are_one_line(flags, tmp_path):
    with pytest.raises(DataError, match="cpc predicts .* needs segments of 0.08 s, found none so long"):
        pretrain.main(flags(objective="cpc", max_audio_length=0.05))
    assert not (tmp_path / "pretrained").exists()
