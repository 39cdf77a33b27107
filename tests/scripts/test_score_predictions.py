"""score_predictions.py and its module: hand-worked figures, parts, degenerate tables, the CSV."""

import numpy as np
import pandas as pd
import pytest

import score_predictions
from ops.errors import DataError
from ops.metrics import bootstrap_interval, lwlrap
from toolkit.prediction.scoring import score

TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]])
SCORES = np.array([[0.9, 0.2, 0.3], [0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.3, 0.8, 0.1]])


def test_figures_worked_out_by_hand():
    found = score(TRUTH, SCORES, 0, 0)
    assert found.clips == 3  # those with labels
    assert found.lwlrap == pytest.approx((1 + 1 / 2 + 2 / 3 + 1) / 4)
    # Class 0: its clips at ranks 1 and 3 of 3. Class 1: at rank 1 and at rank 3, tied with the first clip.
    assert found.mean_average_precision == pytest.approx(((1 + 2 / 3) / 2 + (1 + 2 / 3) / 2) / 2)
    assert found.accuracy == pytest.approx(2 / 3)
    assert np.isnan(found.low) and np.isnan(found.high)


def test_the_interval_is_that_of_lwlrap_over_resampled_clips():
    rng = np.random.default_rng(1)
    truth, scores = rng.random((30, 5)) < 0.4, rng.random((30, 5))
    truth[:, 0] = True
    draws = np.random.default_rng(7)
    values = []
    for _ in range(200):
        rows = draws.integers(0, 30, 30)
        values.append(lwlrap(truth[rows], scores[rows]))
    found = score(truth, scores, 200, 7)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found.low < found.lwlrap < found.high
    assert score(truth, scores, 200, 7) == found


def test_one_clip_has_an_interval_of_one_point():
    found = score(TRUTH[1:2], SCORES[1:2], 50, 0)
    assert found.low == found.high == found.lwlrap == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.mean_average_precision == 1.0 and found.accuracy == 0.0


@pytest.mark.parametrize("rows", [slice(2, 3), slice(0, 0)])
def test_nothing_labelled_gives_nan(rows):
    found = score(TRUTH[rows], SCORES[rows], 50, 0)
    assert found.clips == 0 and all(np.isnan(value) for value in list(vars(found).values())[1:])


def test_one_class():
    found = score(np.ones((3, 1)), np.array([[0.1], [0.5], [0.5]]), 50, 0)
    assert vars(found) == {"clips": 3, **dict.fromkeys(list(vars(found))[1:], 1.0)}


def test_the_interval_of_a_difference():
    low, high = bootstrap_interval(np.array([0.1, 0.1, 0.1]), np.array([1, 1, 1]), 100, 0)
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "truth.csv").write_text(
        'fname,labels,usage,license\na,X,Public,CC0\nb,"X,Y",Private,CC0\nc,,Public,CC0\nd,Y,Public,CC0\n'
    )
    rows = "\n".join(f"{x},{y},{z},{f}" for (x, y, z), f in zip(SCORES, "abcd", strict=True))
    (tmp_path / "preds.csv").write_text(f"X,Y,Z,fname\n{rows}\n")
    return tmp_path


def run(folder, *flags, predictions="preds.csv", truth="truth.csv") -> None:
    score_predictions.main(
        [f"--truth_df={folder / truth}", "--predictions_df", str(folder / predictions), *flags]
    )


def test_a_row_for_each_part_as_on_the_leaderboards(files, capsys):
    run(files, "--names", "mine", "--bootstrap", "0", "--per_class")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["predictions", "part", "clips", "lwlrap", "95", "%", "interval", "mAP", "accuracy"],
        ["mine", "all", "3", "0.7917", "-", "0.8333", "0.6667"],
        ["mine", "Private", "1", "0.5833", "-", "1.0000", "0.0000"],
        ["mine", "Public", "2", "1.0000", "-", "1.0000", "1.0000"],
        [],
        ["mine"],
        ["class", "clips", "lwlrap", "Private", "Public"],
        ["Y", "2", "0.7500", "0.5000", "1.0000"],
        ["X", "2", "0.8333", "0.6667", "1.0000"],
        ["Z", "0", "-", "-", "-"],
    ]


def test_another_column_divides_the_clips(files, capsys):
    run(files, "--part_column", "license")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[1] for line in lines] == ["part", "all", "CC0"] and lines[1][2:] == lines[2][2:]
    with pytest.raises(DataError, match="no column 'fold'"):
        run(files, "--part_column", "fold")


def test_a_part_without_labels_and_rows_without_a_part(files, capsys):
    (files / "truth.csv").write_text("fname,labels,usage\na,X,Public\nb,X,\nc,,Private\n")
    run(files)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[1:3] for line in lines[1:]] == [["all", "2"], ["Private", "0"], ["Public", "1"]]
    assert lines[2][3:] == ["-"] * 4


def test_a_table_without_parts_reads_as_before(files, capsys):
    (files / "truth.csv").write_text("fname,labels\na,X\n")
    run(files)
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].split()[:3] == ["predictions", "clips", "lwlrap"]
    assert "3 of its clips are not in" in captured.err


def test_the_csv_holds_all_figures_unrounded(files, capsys):
    run(files, "--per_class", "--csv", str(files / "out" / "scores.csv"))
    frame = pd.read_csv(files / "out" / "scores.csv", keep_default_na=False, dtype=str)
    assert list(frame.columns) == [
        *("predictions", "part", "class", "clips", "lwlrap", "lwlrap_low", "lwlrap_high", "mAP", "accuracy")
    ]
    assert len(frame) == 3 * (1 + 3)
    whole = frame[(frame["part"] == "all") & (frame["class"] == "")].iloc[0]
    assert float(whole["lwlrap"]) == pytest.approx((1 + 1 / 2 + 2 / 3 + 1) / 4, rel=1e-15)
    nothing = frame[(frame["part"] == "all") & (frame["class"] == "Z")].iloc[0]
    assert nothing["clips"] == "0" and nothing["lwlrap"] == ""


@pytest.mark.parametrize(
    "truth, predictions, words",
    [
        ("fname,labels\na,X\ne,X\n", None, "found none of 'e' .1 missing in all"),
        ("fname,labels\na,Purr\nb,Hiss\n", None, "expected a column for each class of .*'Hiss' .2 missing"),
        ("fname,labels\na,\nb,\n", None, "expected labels, found none in any row"),
        ("fname,labels\na,X\na,X\n", None, "each fname once"),
        (None, "X,Y,Z,fname\n0.1,0.2,1.3,a\n", "expected probabilities from 0 to 1, found '1.3'"),
        (None, "fname\na\n", "found no class column"),
    ],
)
def test_what_does_not_fit_is_one_line(truth, predictions, words, files):
    for name, text in (("truth.csv", truth), ("preds.csv", predictions)):
        if text is not None:
            (files / name).write_text(text)
    with pytest.raises(DataError, match=words) as raised:
        run(files, "--csv", str(files / "scores.csv"))
    assert len(str(raised.value).splitlines()) == 1 and not (files / "scores.csv").exists()
