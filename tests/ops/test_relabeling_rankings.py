"""The strategies beyond the published ones: tables worked out by hand, laws, and synthetic noise."""

import numpy as np
import pandas as pd
import pytest
import soundfile

import relabel_noisy_data
from ops.errors import DataError
from ops.noise_model import correct_labels
from strategy_calls import apply, kept
from toolkit.clips.splits import load_tables
from toolkit.clips.tables import read_weights
from toolkit.runs.predictions import Predictions, write_predictions

# Quota.

EASY = [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]]
SCORES = [[0.9, 0.1], [0.8, 0.1], [0.7, 0.1], [0.3, 0.4], [0.4, 0.3]]


def test_quota_gives_each_class_its_best_clips_where_scoring_takes_the_easy_class():
    assert kept("scoring_3", EASY, SCORES) == [0, 1, 2]
    assert kept("quota_1", EASY, SCORES) == [0]  # a tie of ranks goes to the higher agreement
    assert kept("quota_2", EASY, SCORES) == [0, 3]
    assert kept("quota_3", EASY, SCORES) == [0, 1, 3]
    assert kept("quota_4", EASY, SCORES) == [0, 1, 3, 4]
    assert kept("quota_5", EASY, SCORES) == [0, 1, 2, 3, 4]  # a class that runs out leaves its room
    assert kept("quota_99", EASY, SCORES) == [0, 1, 2, 3, 4]


def test_quota_counts_a_clip_of_two_classes_where_it_ranks_best_and_one_without_last():
    labels = [[1, 0], [1, 1], [0, 0]]
    probabilities = [[0.9, 0.1], [0.6, 0.5], [0.9, 0.9]]
    # Class 0 ranks clip 1 above clip 0 (its margin is infinite), class 1 has clip 1 alone.
    assert kept("quota_1", labels, probabilities) == [1]
    assert kept("quota_2", labels, probabilities) == [0, 1]


@pytest.mark.parametrize("k", [5, 20, 40])
def test_quota_takes_as_many_of_each_class(k):
    rng = np.random.default_rng(0)
    labels = np.eye(5, dtype=bool)[np.repeat(np.arange(5), 40)]
    probabilities = rng.random(labels.shape)
    probabilities[:, 0] += 1  # a class that wins everywhere
    found, _ = apply(f"quota_{k}", labels, probabilities / 2)
    assert labels[found].sum(axis=0).tolist() == [k // 5] * 5


# Consensus.


def test_consensus_of_one_table_is_scoring():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.random((50, 4)) < 0.4, rng.random((50, 4))
    for k in (1, 10, 30):
        np.testing.assert_array_equal(
            apply(f"consensus_{k}", labels, probabilities)[0], apply(f"scoring_{k}", labels, probabilities)[0]
        )


def test_consensus_prefers_steady_agreement():
    labels = [[1, 0, 0]] * 3
    first = [[0.9, 0.1, 0.1], [0.6, 0.5, 0.1], [0.1, 0.9, 0.8]]
    last = [[0.2, 0.9, 0.1], [0.6, 0.5, 0.1], [0.9, 0.1, 0.1]]
    # Agreement: clip 0 has 1 then 1/2, clip 1 has 1 twice, clip 2 has 1/3 then 1.
    tables = np.array([first, last])
    assert kept("consensus_1", labels, tables) == [1]
    assert kept("consensus_2", labels, tables) == [0, 1]


# Soft.


def test_soft_weights_are_powers_of_the_ranking_precision():
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    probabilities = np.array([[0.9, 0.2, 0.1]] * 3)
    np.testing.assert_allclose(apply("soft_2", labels, probabilities)[2], [1, 0.25, 0])
    assert kept("soft_2", labels, probabilities) == [0, 1]


# Balanced pseudo-labels.


def test_balanced_labels_follow_the_given_ones():
    labels = [[1, 0], [1, 0], [0, 1], [0, 1]]
    probabilities = [[0.9, 0.4], [0.8, 0.3], [0.7, 0.2], [0.6, 0.1]]
    assert apply("relabelall-replacenan_1", labels, probabilities)[1].sum(axis=0).tolist() == [4, 0]
    found, new = apply("relabelall-balanced_1", labels, probabilities)
    assert new.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]] and found.tolist() == [1, 1, 0, 0]
    assert apply("relabelall-balanced_9", labels, probabilities)[1].all()


# The script, and weights on their way into training.


def write(folder, noisy: str, *tables) -> list[str]:
    (folder / "noisy.csv").write_text(noisy)
    paths = []
    for number, table in enumerate(tables):
        paths.append(str(folder / f"predictions_{number}.csv"))
        fnames = [f"c{row}" for row in range(len(table))]
        write_predictions(paths[-1], Predictions(fnames, ["A", "B"], np.array(table)))
    return [f"--noisy_df={folder / 'noisy.csv'}", f"--output_df={folder / 'out.csv'}",
            "--noisy_predictions_df", *paths]  # fmt: skip


def test_weights_are_written_and_read_back(tmp_path):
    flags = write(tmp_path, "fname,labels\nc0,A\nc1,B\nc2,\n", [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    relabel_noisy_data.main([*flags, "--mode=soft_1"])
    assert (tmp_path / "out.csv").read_text() == "fname,labels,weight\nc0,A,1.0\nc1,B,0.5\n"
    for name in ("c0", "c1"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(100), 44100)
        (tmp_path / f"{name}.wav").rename(tmp_path / name)
    # A curated table's column of that name is one of the further columns, which are ignored.
    data = {"classes": ["A", "B"], "skip_bad_clips": False, "kfold_seed": 0, "max_samples": None}
    for part in ("train", "noisy_train"):
        data |= {f"{part}_df": str(tmp_path / "out.csv"), f"{part}_data_dir": str(tmp_path)}
    tables = load_tables({**data, "holdout_size": 0}, None, None)
    assert [clip.weight for clip in tables.noisy] == [1.0, 0.5]
    assert [clip.weight for clip in tables.curated] == [1.0, 1.0]


def test_weights_of_the_given_table_stay(tmp_path, capsys):
    rows = "fname,labels,weight\nc0,A,0.5\nc1,B,0.5\nc2,A,0\nc3,B,1\n"
    flags = write(tmp_path, rows, [[0.9, 0.1], [0.6, 0.4], [0.9, 0.1], [0.2, 0.8]])
    for mode, expected in (("soft_1", "c0,A,0.5\nc1,B,0.25\nc3,B,1.0\n"), ("scoring_2", "c0,A,0.5\n")):
        relabel_noisy_data.main([*flags, f"--mode={mode}"])
        assert "weights of" in capsys.readouterr().out
        assert (tmp_path / "out.csv").read_text() == f"fname,labels,weight\n{expected}"


def test_clips_without_labels_are_told_and_not_kept(tmp_path, capsys):
    flags = write(tmp_path, "fname,labels\nc0,A\nc1,\nc2,B\n", [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    for mode in ("scoring_3", "quota_3", "consensus_3"):
        relabel_noisy_data.main([*flags, f"--mode={mode}"])
        out = capsys.readouterr().out
        assert "kept 2 of 3 clips" in out and "note: 1 clips have no label and are left out" in out


@pytest.mark.parametrize("cell", ["", "x", "-0.1", "1.1", "nan"])
def test_weights_that_are_none_are_named(tmp_path, cell):
    (tmp_path / "t.csv").write_text(f"fname,labels,weight\na,A,1\nb,A,{cell}\n")
    with pytest.raises(DataError, match="expected weights from 0 to 1, found .* for clip 'b'"):
        read_weights(str(tmp_path / "t.csv"))


def test_no_clip_has_more_classes_than_there_are(tmp_path):
    flags = write(tmp_path, "fname,labels\nc0,A\n", [[0.9, 0.1]])
    for mode in ("relabelall_3", "fullmatch_2.1", "relabelall-balanced_9"):
        with pytest.raises(DataError, match=f"{mode}: expected at most .* there are, 2, got"):
            relabel_noisy_data.main([*flags, f"--mode={mode}"])
    relabel_noisy_data.main([*flags, "--mode=relabelall_2"])


def test_several_tables_are_averaged_or_compared(tmp_path, capsys):
    rows = "".join(f"c{row},{'AAB'[row % 3]}\n" for row in range(30))
    tables = [[[0.9, 0.1], [0.3, 0.6], [0.2, 0.9]] * 10, [[0.9, 0.1], [0.9, 0.2], [0.1, 0.8]] * 10]
    flags = write(tmp_path, f"fname,labels\n{rows}", *tables)
    relabel_noisy_data.main([*flags, "--mode=relabelall_1"])
    assert pd.read_csv(tmp_path / "out.csv")["labels"].tolist() == ["A", "A", "B"] * 10
    relabel_noisy_data.main([*flags, "--mode=consensus_10"])
    assert pd.read_csv(tmp_path / "out.csv")["fname"].tolist() == [f"c{row}" for row in range(0, 30, 3)]
    relabel_noisy_data.main([*flags, "--mode=correct-soft_0.3"])
    assert "of the labels are wrong, by an estimate" in capsys.readouterr().out
    labels = np.array([[True, False], [True, False], [False, True]] * 10)
    expected = correct_labels(labels, np.array(tables)).confidence
    assert expected.min() > 0.3
    assert pd.read_csv(tmp_path / "out.csv")["weight"].tolist() == expected.tolist()


def test_tables_of_other_classes_are_refused(tmp_path):
    flags = write(tmp_path, "fname,labels\nc0,A\n", [[0.9, 0.1]])
    write_predictions(tmp_path / "o.csv", Predictions(["c0"], ["A", "C"], np.array([[0.5, 0.5]])))
    with pytest.raises(DataError, match="expected the classes of"):
        relabel_noisy_data.main([*flags, str(tmp_path / "o.csv"), "--mode=scoring_1"])
