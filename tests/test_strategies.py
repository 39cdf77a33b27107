"""The strategies beyond the published ones: tables worked out by hand, laws, and synthetic noise."""

import numpy as np
import pandas as pd
import pytest
import soundfile

import relabel_noisy_data
from ops.correction import correct_labels, share_of_wrong_labels
from ops.errors import DataError
from ops.predictions import Predictions, write_predictions
from ops.relabeling import parse_mode
from ops.run_tables import load_tables, read_weights


def apply(mode: str, labels, probabilities, fnames=None):
    strategy, parameter = parse_mode(mode)
    labels = np.array(labels, dtype=bool)
    return strategy.apply(
        labels, np.array(probabilities), fnames or list(map(str, range(len(labels)))), parameter
    )


def kept(mode: str, *arguments) -> list[int]:
    return np.flatnonzero(apply(mode, *arguments)[0]).tolist()


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
    strategy, power = parse_mode("soft_2")
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    probabilities = np.array([[0.9, 0.2, 0.1]] * 3)
    np.testing.assert_allclose(strategy.weigh(labels, probabilities, power), [1, 0.25, 0])
    assert kept("soft_2", labels, probabilities) == [0, 1]


# Balanced pseudo-labels.


def test_balanced_labels_follow_the_given_ones():
    labels = [[1, 0], [1, 0], [0, 1], [0, 1]]
    probabilities = [[0.9, 0.4], [0.8, 0.3], [0.7, 0.2], [0.6, 0.1]]
    assert apply("relabelall-replacenan_1", labels, probabilities)[1].sum(axis=0).tolist() == [4, 0]
    found, new = apply("relabelall-balanced_1", labels, probabilities)
    assert new.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]] and found.tolist() == [1, 1, 0, 0]
    assert apply("relabelall-balanced_9", labels, probabilities)[1].all()


# Correction.


def test_the_share_of_wrong_labels_by_hand():
    # Certain predictions: it is the share of labels that they contradict.
    assert share_of_wrong_labels(np.array([1.0, 1, 1, 0, 0]), 5) == pytest.approx(0.4, abs=1e-6)
    # Predictions that say nothing (one class in n) leave the likelihood flat: it stays where it began.
    assert share_of_wrong_labels(np.full(9, 0.25), 4) == pytest.approx(0.5)
    assert share_of_wrong_labels(np.empty(0), 4) == 0.0 == share_of_wrong_labels(np.ones(3), 1)


@pytest.mark.parametrize("wrong", [0.1, 0.4, 0.7])
def test_the_share_of_wrong_labels_is_found(wrong):
    """Labels drawn by the model of the noise itself, from calibrated predictions of every quality."""
    rng = np.random.default_rng(0)
    n, n_classes = 20_000, 10
    logits = rng.normal(0, 1, (n, n_classes)) * rng.uniform(0, 4, (n, 1))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    given = np.where(rng.random(n) < wrong, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    labels = np.eye(n_classes, dtype=bool)[given]
    found = correct_labels(labels, probabilities)
    assert found.wrong == pytest.approx(wrong, abs=0.02)
    # What it says of its own labels is true: of those it trusts with p, a share of p is right.
    right = (found.labels == np.eye(n_classes, dtype=bool)[truth]).all(axis=1)
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        rows = (found.confidence >= low) & (found.confidence < high)
        assert right[rows].mean() == pytest.approx(found.confidence[rows].mean(), abs=0.03)
    # Predictions and labels together beat either alone.
    alone = max((given == truth).mean(), (probabilities.argmax(axis=1) == truth).mean())
    labelled = found.labels.any(axis=1)
    assert right[labelled].mean() > alone


def test_labels_are_kept_replaced_or_dropped():
    ten = np.full((5, 10), 0.01)
    ten[0, 0] = 0.9  # agrees
    ten[1, :2] = 0.15, 0.8  # possible: the label outweighs it
    ten[2, 1] = 0.95  # contradicts
    ten[3, :] = 0.0  # contradicts, and nothing instead
    ten[4, [0, 1]] = 0.9  # a second class with it
    labels = np.zeros((5, 10), dtype=bool)
    labels[:, 0] = True
    labels = np.concatenate([labels, labels[[0, 0, 2]]])  # three wrong of eight
    probabilities = np.concatenate([ten, ten[[0, 0, 2]]])
    found = correct_labels(labels, probabilities)
    assert 0.3 < found.wrong < 0.5
    assert [np.flatnonzero(row).tolist() for row in found.labels[:5]] == [[0], [0], [1], [], [0]]
    assert found.confidence[0] > 0.95 and found.confidence[3] == 0
    assert 0.5 < found.confidence[1] < found.confidence[0] and 0.8 < found.confidence[2] < 0.99
    assert kept("correct_0.5", labels, probabilities) == [0, 1, 2, 4, 5, 6, 7]
    assert kept("correct_0.95", labels, probabilities) == [0, 4, 5, 6]


def test_a_wrong_one_of_two_labels_is_taken_out():
    labels = np.tile(np.array([1, 1, 0, 0], dtype=bool), (4, 1))
    probabilities = np.tile([0.97, 0.001, 0.02, 0.01], (4, 1))
    found = correct_labels(labels, probabilities)
    assert found.labels.tolist() == [[True, False, False, False]] * 4


def test_clips_without_labels_take_what_is_predicted():
    labels = np.zeros((2, 3), dtype=bool)
    found = correct_labels(labels, np.array([[0.9, 0.2, 0.1], [0.2, 0.2, 0.2]]))
    assert found.labels.tolist() == [[True, False, False], [False] * 3]
    np.testing.assert_allclose(found.confidence, [0.9, 0])
    assert correct_labels(np.ones((2, 1), dtype=bool), np.full((2, 1), 0.3)).labels.all()  # one class


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


@pytest.mark.parametrize("cell", ["", "x", "-0.1", "1.1", "nan"])
def test_weights_that_are_none_are_named(tmp_path, cell):
    (tmp_path / "t.csv").write_text(f"fname,labels,weight\na,A,1\nb,A,{cell}\n")
    with pytest.raises(DataError, match="expected weights from 0 to 1, found .* for clip 'b'"):
        read_weights(str(tmp_path / "t.csv"))


def test_several_tables_are_averaged_or_compared(tmp_path):
    tables = [[0.9, 0.1], [0.3, 0.6]], [[0.9, 0.1], [0.9, 0.2]]
    flags = write(tmp_path, "fname,labels\nc0,A\nc1,A\n", *tables)
    relabel_noisy_data.main([*flags, "--mode=relabelall_1"])
    assert pd.read_csv(tmp_path / "out.csv")["labels"].tolist() == ["A", "A"]
    relabel_noisy_data.main([*flags, "--mode=consensus_1"])
    assert pd.read_csv(tmp_path / "out.csv")["fname"].tolist() == ["c0"]


def test_tables_of_other_classes_are_refused(tmp_path):
    flags = write(tmp_path, "fname,labels\nc0,A\n", [[0.9, 0.1]])
    write_predictions(tmp_path / "o.csv", Predictions(["c0"], ["A", "C"], np.array([[0.5, 0.5]])))
    with pytest.raises(DataError, match="expected the classes of"):
        relabel_noisy_data.main([*flags, str(tmp_path / "o.csv"), "--mode=scoring_1"])


def test_correction_without_calibration_says_so(tmp_path, capsys):
    flags = write(tmp_path, "fname,labels\nc0,A\n", [[0.9, 0.1]])
    relabel_noisy_data.main([*flags, "--mode=correct_0.5"])
    assert "add --calibrate" in capsys.readouterr().out
