"""train_2d_cnn.py on soft labels: what noisy clips train on in place of their labels."""

import numpy as np
import pandas as pd
import pytest

import run_noisy_rounds
import train_2d_cnn
from ops.errors import DataError
from toolkit.runs.clips import load_splits
from toolkit.runs.config import SubmissionConfig, read_config
from toy_data import CLASSES, with_noisy


@pytest.fixture
def soft(toy, tmp_path):
    """Flags of a run on the toy data's noisy clips with soft labels, and their table."""
    fnames = pd.read_csv(toy.folder / "train_noisy.csv")["fname"]
    scores = np.random.default_rng(0).uniform(0.1, 0.9, (len(fnames), len(CLASSES)))
    table = pd.DataFrame(scores, columns=CLASSES).assign(fname=fnames.to_numpy())[::-1]
    table.to_csv(tmp_path / "soft.csv", index=False)
    return {**with_noisy(toy), "soft_labels": tmp_path / "soft.csv", "soft_power": 2, "epochs": 1}


def test_noisy_clips_train_on_soft_labels(soft, training_flags, only_experiment):
    train_2d_cnn.main(training_flags(**soft))
    experiment = only_experiment()
    config = read_config(experiment / "config.json")
    splits = load_splits(config.data, SubmissionConfig())
    odds = pd.read_csv(soft["soft_labels"]).set_index("fname")[CLASSES]
    odds = odds / (1 - odds)
    for clip in splits.noisy:
        row = odds.loc[clip.fname].to_numpy()
        assert clip.labels == pytest.approx((row / row.max()) ** 2, rel=1e-5)
    assert all(set(clip.labels) <= {0, 1} for clip in splits.curated)
    table = pd.read_csv(soft["soft_labels"])
    table.assign(**{CLASSES[0]: 0.5}).to_csv(soft["soft_labels"], index=False)
    with pytest.raises(DataError, match="noisy clips or their labels have changed"):
        train_2d_cnn.main(training_flags("--resume", **{**soft, "epochs": 1}))


def test_soft_labels_that_lack_a_clip_or_could_not_read_one(soft, training_flags):
    table = pd.read_csv(soft["soft_labels"])
    bad = soft["soft_labels"].with_name("soft.csv.bad_clips.csv")
    table[["fname"]].head(1).assign(error="x").to_csv(bad, index=False)
    with pytest.raises(DataError, match="could not be read in prediction") as raised:
        train_2d_cnn.main(training_flags(**soft))
    assert len(str(raised.value).splitlines()) == 1
    bad.unlink()
    table[1:].to_csv(soft["soft_labels"], index=False)
    with pytest.raises(DataError, match="expected a prediction of every clip, found none of"):
        train_2d_cnn.main(training_flags(**soft))


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"noisy_train_df": None, "noisy_train_data_dir": None}, "give --noisy_train_df"),
        ({"soft_labels": None}, "--soft_power sharpens --soft_labels"),
        ({"loss": "focal"}, "not with focal"),
        ({"soft_power": 0}, "soft_power"),
    ],
)
def test_flags_that_do_not_go_together(changed, words, soft, training_flags, capsys):
    with pytest.raises(SystemExit) as stopped:
        train_2d_cnn.parse_args(training_flags(**{**soft, **changed}))
    assert stopped.value.code == 2 and words in capsys.readouterr().err


def test_the_rounds_choose_labels_themselves(soft, training_flags, tmp_path, capsys):
    flags = [flag for flag in training_flags(**soft) if not flag.startswith("--experiments_dir")]
    with pytest.raises(SystemExit):
        run_noisy_rounds.parse_args(
            [*flags, "--rounds", "trust_0.5", f"--rounds_dir={tmp_path / 'r'}", "--network=2d"]
        )
    assert "leave out --soft_labels" in capsys.readouterr().err
