"""blend_predictions.py: means of tables and experiments, weights, mismatches."""

import numpy as np
import pandas as pd
import pytest

import blend_predictions
import train_2d_cnn
from made_scores import random_models
from ops.errors import DataError
from toolkit.runs.predictions import read_predictions


def write(path, rows: dict[str, list[float]], classes="XY") -> str:
    lines = [",".join([*classes, "fname"]), *(",".join([*map(str, row), name]) for name, row in rows.items())]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def tables(tmp_path):
    return [
        write(tmp_path / "a.csv", {"a.wav": [0.2, 0.4], "b.wav": [1, 0]}),
        write(tmp_path / "b.csv", {"b.wav": [0, 1], "a.wav": [0.8, 0.6]}, "YX"),
    ]


def test_the_plain_mean_is_the_default(tables, tmp_path, capsys):
    output = tmp_path / "new" / "final.csv"
    blend_predictions.main(["--predictions", *tables, "--output_df", str(output)])
    assert output.read_text() == "X,Y,fname\n0.4,0.6000000000000001,a.wav\n1.0,0.0,b.wav\n"
    assert "2 clips, mean of 2 predictions" in capsys.readouterr().out


@pytest.mark.parametrize(
    "rows, classes, words",
    [
        ({"a.wav": [0.1, 0.2]}, "XY", "expected the 2 clips of .*a.csv, but it lacks 'b.wav' .1 lacking"),
        ({"a.wav": [0, 0], "b.wav": [0, 0], "c.wav": [0, 0]}, "XY", "has 'c.wav', too .0 lacking, 1 further"),
        ({"a.wav": [0, 0], "b.wav": [0, 0]}, "XZ", "expected the 2 classes of .*lacks 'Y'"),
        ({"a.wav": [0, 0, 0], "b.wav": [0, 0, 0]}, "XYZ", "the 2 classes of .*has 'Z', too"),
        ({"a.wav": [0, 2], "b.wav": [0, 0]}, "XY", "expected probabilities from 0 to 1"),
    ],
)
def test_mismatches_are_one_line_and_write_nothing(rows, classes, words, tables, tmp_path):
    other = write(tmp_path / "c.csv", rows, classes)
    output = tmp_path / "final.csv"
    with pytest.raises(DataError, match=words) as raised:
        blend_predictions.main(["--predictions", tables[0], other, f"--output_df={output}"])
    assert str(raised.value).startswith(other) and len(str(raised.value).splitlines()) == 1
    assert not output.exists()


@pytest.fixture
def oof(tmp_path):
    """Two good models' and a noisy one's out-of-fold tables of 60 clips, and the labels' path."""
    truth, scores = random_models(5, models=3, clips=60, classes=2)
    scores[:2] = (scores[:2] + 2 * truth) / 3
    names = [f"c{n}.wav" for n in range(60)]
    paths = [
        write(tmp_path / f"oof_{m}.csv", dict(zip(names, scores[m].tolist(), strict=True))) for m in range(3)
    ]
    cells = [",".join(np.array(["X", "Y"])[row > 0.5]) for row in truth]
    labels = pd.DataFrame({"fname": [*names, "further.wav"], "labels": [*cells, "X"]})
    labels.to_csv(tmp_path / "truth.csv", index=False)
    return paths, str(tmp_path / "truth.csv")


def run_weighted(tables, oof, output, *flags):
    paths, truth = oof
    members = [tables[0], tables[1], tables[0]]
    return blend_predictions.main(
        ["--predictions", *members, "--out_of_fold", *paths, "--truth_df", truth, "--method=weighted"]
        + [f"--output_df={output}", *flags]
    )


def test_both_scores_are_printed_and_the_plain_mean_is_kept_where_weights_are_not_worth_it(
    tables, oof, tmp_path, capsys
):
    paths, truth = oof
    output = tmp_path / "final.csv"
    run_weighted(tables, ([paths[0]] * 3, truth), output)  # three times the same model
    out = capsys.readouterr().out
    for words in (
        "plain mean ",
        "weights, nested ",
        "weights, fitted on all ",
        "not worth it: nested - mean",
    ):
        assert words in out
    assert out.endswith("plain mean of 3 predictions\n") and "the plain mean is kept" in out
    np.testing.assert_allclose(read_predictions(output).probabilities[0], [1 / 3, 1.6 / 3])


def test_weights_that_are_worth_it_or_forced_are_used(tables, oof, tmp_path, capsys):
    output = tmp_path / "final.csv"
    run_weighted(tables, oof, output, "--force_weights")
    out = capsys.readouterr().out
    weights = [float(line.split()[0]) for line in out.splitlines()[1:4]]
    assert weights[2] < 1 / 3 and sum(weights) == pytest.approx(1, abs=0.02)
    assert out.endswith("fitted weights of 3 predictions\n")
    found = read_predictions(output).probabilities[0, 1]  # 0.4, 0.8 and 0.4 of the models
    assert found == pytest.approx(0.4 + 0.4 * weights[1], abs=0.005)


def test_weights_of_what_does_not_fit_together(tables, oof, tmp_path, capsys):
    paths, truth = oof
    output = tmp_path / "final.csv"
    few = write(tmp_path / "few.csv", {f"c{n}.wav": [0.1, 0.2] for n in range(50)})
    run_weighted(tables, ([paths[0], few, paths[2]], truth), output)
    assert "fitted on the 50 clips that all have (of up to 60)" in capsys.readouterr().out
    other = write(tmp_path / "other.csv", {"x.wav": [0.1, 0.2]})
    with pytest.raises(DataError, match="expected clips that all of --out_of_fold have, found none"):
        run_weighted(tables, ([paths[0], other, paths[2]], truth), output)
    classes = write(tmp_path / "classes.csv", {f"c{n}.wav": [0.1, 0.2] for n in range(60)}, "XZ")
    with pytest.raises(DataError, match="classes.csv: expected the 2 classes of .*lacks 'Y'"):
        run_weighted(tables, ([paths[0], classes, paths[2]], truth), output)
    with pytest.raises(DataError, match="expected the classes of .*a.csv, found others"):
        run_weighted(tables, ([classes] * 3, truth), output)
    (tmp_path / "truth.csv").write_text("fname,labels\nc0.wav,X\n")
    with pytest.raises(
        DataError, match="labels of all 60 clips that were predicted, found none of 'c1.wav' .59 missing"
    ):
        run_weighted(tables, oof, output)
    (tmp_path / "truth.csv").write_text("fname,labels\n" + "".join(f"c{n}.wav,\n" for n in range(60)))
    with pytest.raises(DataError, match="expected labels of the out-of-fold clips, found none"):
        run_weighted(tables, oof, output)
    (tmp_path / "truth.csv").write_text(
        "fname,labels\nc0.wav,X\n" + "".join(f"c{n}.wav,\n" for n in range(1, 60))
    )
    with pytest.raises(DataError, match="1 clips for 5 folds.*--n_folds"):
        run_weighted(tables, oof, output)


def test_experiments_give_their_submissions_and_their_own_out_of_fold_predictions(
    toy, training_flags, tmp_path, capsys
):
    test = {"test_data_dir": toy.folder / "test", "sample_submission": toy.folder / "sample_submission.csv"}
    for seed in (0, 1):
        train_2d_cnn.main(training_flags(f"--seed={seed}", **test, epochs=1))
    experiments = sorted(map(str, (tmp_path / "experiments").iterdir()))
    output = tmp_path / "final.csv"
    truth = f"--truth_df={toy.folder / 'train_curated.csv'}"
    weighted = [
        "--predictions",
        *experiments,
        f"--output_df={output}",
        "--method=weighted",
        truth,
        "--n_folds=2",
    ]
    blend_predictions.main(weighted)
    assert "out-of-fold lwlrap" in capsys.readouterr().out
    blend_predictions.main(["--predictions", *experiments, f"--output_df={output}"])
    frames = [pd.read_csv(f"{path}/predictions/submission.csv").set_index("fname") for path in experiments]
    mean = pd.read_csv(output).set_index("fname")
    pd.testing.assert_frame_equal(mean, (frames[0] + frames[1]) / 2)

    (tmp_path / "experiments" / experiments[1] / "predictions" / "val_preds_fold_1.csv").unlink()
    with pytest.raises(DataError, match=r"out-of-fold predictions of 2 folds, found none of \[1\]"):
        blend_predictions.main(weighted)
    (tmp_path / "experiments" / experiments[1] / "predictions" / "submission.csv").unlink()
    with pytest.raises(
        DataError, match="submission.csv: expected the test predictions .*--sample_submission"
    ):
        blend_predictions.main(weighted)
    with pytest.raises(DataError, match="expected an experiment's directory with a config.json"):
        blend_predictions.main(["--predictions", str(tmp_path), f"--output_df={output}"])


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--truth_df=t.csv"], "--truth_df belongs to --method weighted"),
        (["--force_weights"], "--force_weights belongs to --method weighted"),
        (["--method=weighted"], "give --truth_df"),
        (["--method=weighted", "--truth_df=t.csv"], "a.csv is no experiment's directory; give --out_of_fold"),
        (["--method=weighted", "--truth_df=t.csv", "--out_of_fold", "x"], "expected 2, one each, got 1"),
        (["--method=median"], "'clip_rank'"),
    ],
)
def test_usage_errors(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        blend_predictions.parse_args(["--predictions", "a.csv", "b.csv", "--output_df=o.csv", *flags])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and words in error and error.count("\n") == 1
