"""score_predictions.py: parts, the CSV, tables that do not fit."""

import numpy as np
import pandas as pd
import pytest

import score_predictions
import train_2d_cnn
from command_lines import usage_error
from ops.errors import DataError
from run_configs import run_config
from toolkit.system.files import write_json

SCORES = np.array([[0.9, 0.2, 0.3], [0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.3, 0.8, 0.1]])


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


def test_clips_that_prediction_could_not_read_are_counted_aloud(files, capsys):
    (files / "preds.csv.bad_clips.csv").write_text("fname,error\na,cut\nelsewhere,cut\n")
    run(files)
    assert "preds.csv: 1 of its clips could not be read in prediction" in capsys.readouterr().err


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


def test_score_of_known_predictions(tmp_path, capsys):
    (tmp_path / "truth.csv").write_text('fname,labels\na,X\nb,"X,Y"\n')
    (tmp_path / "preds.csv").write_text("X,Y,Z,fname\n0.1,0.2,0.3,b\n0.9,0.2,0.3,a\n")
    score_predictions.main(
        [f"--truth_df={tmp_path / 'truth.csv'}", f"--predictions_df={tmp_path / 'preds.csv'}", "--per_class"]
    )
    out = capsys.readouterr().out
    # a: 1; b: Y at rank 2 (1/2), X at rank 3 (2/3): (1 + 1/2 + 2/3) / 3
    assert f"{(1 + 1 / 2 + 2 / 3) / 3:.4f}" in out and "0.5000" in out


def test_scores_of_an_experiment_are_those_of_its_submission(toy, training_flags, only_experiment, capsys):
    test = {"test_data_dir": toy.folder / "test", "sample_submission": toy.folder / "sample_submission.csv"}
    train_2d_cnn.main(training_flags(**test, epochs=1))
    submission = only_experiment() / "predictions/submission.csv"
    capsys.readouterr()
    tables = []
    for path in (only_experiment(), submission):
        score_predictions.main([f"--truth_df={toy.folder / 'test_truth.csv'}", f"--predictions_df={path}"])
        tables.append(capsys.readouterr().out.splitlines()[1].split()[1:])
    assert tables[0] == tables[1]


def test_classes_with_commas_are_scored_and_shown_as_they_are(tmp_path, capsys):
    (tmp_path / "truth.csv").write_text('fname,labels\na,"Child speech,, kid,Bark"\nb,Bark\n')
    (tmp_path / "preds.csv").write_text('Bark,"Child speech, kid",fname\n0.9,0.8,a\n0.9,0.1,b\n')
    run(tmp_path, "--per_class")
    assert "\nChild speech, kid  " in capsys.readouterr().out
    (tmp_path / "truth.csv").write_text('fname,labels\na,"Child speech, kid"\nb,Bark\n')
    with pytest.raises(DataError, match='none for .*"Child speech,, kid"'):
        run(tmp_path)


def test_it_is_told_which_clips_map_counts(files, capsys):
    run(files, "--bootstrap=0")
    out, err = capsys.readouterr()
    assert "1 of its 4 clips have no label and are left out" in err and "0.8333" in out
    run(files, "--bootstrap=0", "--unlabelled")
    out, err = capsys.readouterr()
    assert "1 of its 4 clips have no label and count in mAP alone, as negatives" in err
    # X: its clips at ranks 1 and 4 of 4, Y: at rank 1 and, tied with the first clip, at ranks 3 and 4.
    found = [line.split()[-2] for line in out.splitlines() if line.split()[1] == "all"]
    assert found == [f"{((1 + 2 / 4) / 2 + (1 + 2 / 4) / 2) / 2:.4f}"]
    (files / "truth.csv").write_text('fname,labels\na,X\nb,"X,Y"\nd,Y\n')
    run(files, "--bootstrap=0")
    assert "no label" not in capsys.readouterr().err


@pytest.fixture
def experiment(files):
    """An experiment of two folds, trained on truth.csv; d was in no fold."""
    config = run_config(classes=["X", "Y", "Z"], train_df=str(files / "truth.csv"))
    folder = files / "try-01234567"
    (folder / "predictions").mkdir(parents=True)
    write_json(folder / "config.json", config.to_json())
    write_json(folder / "results.json", {"fold0": {"metric": 0.5}, "fold1": {"metric": 0.5}})
    for fold, rows in ((0, [1, 0]), (1, [2])):
        lines = [",".join(map(str, [*SCORES[row], "abcd"[row]])) for row in rows]
        (folder / "predictions" / f"val_preds_fold_{fold}.csv").write_text("\n".join(["X,Y,Z,fname", *lines]))
    return folder


def test_experiments_are_scored_out_of_fold_without_a_test_set(files, experiment, capsys):
    score_predictions.main([str(experiment), "--bootstrap", "0"])
    printed = capsys.readouterr()
    lines = [line.split() for line in printed.out.splitlines()]
    # a: X first of three. b: X and Y, behind Z. c: without labels. (Of Y both clips tie: half.)
    lwlrap = (1 + 1 / 2 + 2 / 3) / 3
    assert lines[1] == [str(experiment), "all", "2", f"{lwlrap:.4f}", "-", "0.7500", "0.5000"]
    assert "1 of its 3 clips have no label" in printed.err

    (files / "truth.csv").rename(files / "moved.csv")
    again = [str(experiment), f"--truth_df={files / 'moved.csv'}", "--out_of_fold", "--bootstrap", "0"]
    score_predictions.main(again)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == lines

    write_json(experiment / "results.json", {"fold0": {"metric": 0.5}})
    score_predictions.main(again)
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split()[2] == "2" and "folds [1] are not finished" in printed.err


def test_what_cannot_be_scored_out_of_fold(files, experiment, capsys):
    for flags, words in (
        ([str(files / "preds.csv")], "expected an experiment, whose out-of-fold predictions are scored"),
        ([str(experiment), f"--truth_df={files / 'truth.csv'}"], "expected test predictions, found none"),
    ):
        with pytest.raises(DataError, match=words):
            score_predictions.main(flags)
    (files / "other.csv").write_text("fname,labels\nz,X\n")
    with pytest.raises(DataError, match="expected labels of the clips .* was validated on, found none"):
        score_predictions.main([str(experiment), "--out_of_fold", f"--truth_df={files / 'other.csv'}"])
    write_json(experiment / "results.json", {})
    with pytest.raises(DataError, match="expected a finished fold"):
        score_predictions.main([str(experiment)])
    assert "nothing to score" in usage_error(capsys, score_predictions.parse_args, [])
