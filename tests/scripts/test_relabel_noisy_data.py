"""relabel_noisy_data.py: rows joined by fname, weights, clips that cannot be kept."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import predict_2d_cnn
import relabel_noisy_data
from command_lines import usage_error
from ops.errors import DataError
from ops.noise_model import correct_labels
from run_configs import run_config
from strategy_calls import CLASSES, FNAMES, PROBABILITIES
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.tables import read_table, write_table
from toolkit.runs.clips import load_splits
from toolkit.runs.config import SubmissionConfig
from toolkit.runs.predictions import Predictions, write_predictions


def test_unknown_mode(capsys):
    arguments = ["--noisy_df=a", "--noisy_predictions_df=b", "--output_df=c", "--mode=best_5"]
    assert "scoring_<clips to keep>" in usage_error(capsys, relabel_noisy_data.parse_args, arguments)


# The published code took labels from the wrong rows where the tables were not sorted.


def relabel(folder, noisy: list[tuple[str, str]], predictions: Predictions, mode: str) -> list[list[str]]:
    write_table(folder / "noisy.csv", pd.DataFrame(noisy, columns=["fname", "labels"]))
    write_predictions(folder / "predictions.csv", predictions)
    relabel_noisy_data.main(
        [
            f"--noisy_df={folder / 'noisy.csv'}",
            f"--noisy_predictions_df={folder / 'predictions.csv'}",
            f"--output_df={folder / 'relabeled.csv'}",
            f"--mode={mode}",
        ]
    )
    return pd.read_csv(folder / "relabeled.csv", dtype=str, na_filter=False).values.tolist()


CELLS = {"c0": "A", "c1": "B", "c2": "B,A", "c3": "C"}


def test_other_columns_and_what_nobody_knows_stay(tmp_path):
    """By one of them, as --group_column names it, the next training knows which clips belong together."""
    rows = {"c0": ("A,?C", "ann", "CC, 0"), "c1": ("B,?A,?C", "ann", ""), "c2": ("?B", "bob", "CC")}
    table = [(fname, *rows[fname]) for fname in ("c2", "c0", "c1")]
    write_table(tmp_path / "n.csv", pd.DataFrame(table, columns=["fname", "labels", "uploader", "license"]))
    scores = np.array([[0.9, 0.1, 0.2], [0.95, 0.9, 0.1], [0.1, 0.2, 0.9]])
    write_predictions(tmp_path / "p.csv", Predictions(list(rows), ["A", "B", "C"], scores))
    flags = [f"--noisy_df={tmp_path / 'n.csv'}", f"--noisy_predictions_df={tmp_path / 'p.csv'}"]
    relabel_noisy_data.main([*flags, f"--output_df={tmp_path / 'r.csv'}", "--mode=relabelall-merge_1"])
    found = read_table(tmp_path / "r.csv", ["fname", "labels"], all_columns=True)
    assert list(found) == ["fname", "labels", "uploader", "license"]
    assert found["labels"].tolist() == ["?B,C", "A,?C", "A,B,?C"]
    others = zip(found["fname"], found["uploader"], found["license"], strict=True)
    assert list(others) == [("c2", "bob", "CC"), ("c0", "ann", "CC, 0"), ("c1", "ann", "")]


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("scoring_3", {"c0": "A", "c2": "B,A", "c3": "C"}),  # labels that stay keep their spelling
        ("fullmatch_1", {"c0": "A"}),
        ("relabelall_1", {"c0": "A", "c1": "A,B", "c2": "A"}),
        ("relabelall-merge_1", {"c0": "A", "c1": "A,B", "c2": "B,A", "c3": "C"}),
    ],
)
def test_the_script_joins_by_fname(mode, expected, tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(3):
        order, columns, rows = rng.permutation(4), rng.permutation(3), rng.permutation(4)
        predictions = Predictions(
            [FNAMES[i] for i in order], [CLASSES[i] for i in columns], PROBABILITIES[order][:, columns]
        )
        names = [FNAMES[i] for i in rows]
        relabeled = relabel(tmp_path, [(name, CELLS[name]) for name in names], predictions, mode)
        assert [fname for fname, _ in relabeled] == [name for name in names if name in expected]
        assert {f: set(cell.split(",")) for f, cell in relabeled} == {
            f: set(cell.split(",")) for f, cell in expected.items()
        }
        if mode == "scoring_3":
            assert dict(relabeled) == expected


def test_the_result_is_the_next_runs_table(tmp_path):
    predictions = Predictions(FNAMES, CLASSES, PROBABILITIES)
    relabel(tmp_path, list(CELLS.items()), predictions, "relabelall-merge_1")
    read = read_table(tmp_path / "relabeled.csv", ["fname", "labels"])
    assert read.values.tolist() == [["c0", "A"], ["c1", "A,B"], ["c2", "B,A"], ["c3", "C"]]


def test_predictions_of_further_clips_change_nothing_that_is_kept(tmp_path):
    more = Predictions(["extra", *FNAMES], CLASSES, np.concatenate([[[0.99, 0.98, 0.97]], PROBABILITIES]))
    relabeled = relabel(tmp_path, list(CELLS.items()), more, "relabelall_1")
    assert relabeled == [["c0", "A"], ["c1", "A,B"], ["c2", "A"]]


def test_a_clip_without_prediction_or_an_unknown_label_is_named(tmp_path):
    predictions = Predictions(FNAMES[:3], CLASSES, PROBABILITIES[:3])
    with pytest.raises(DataError, match="found none of 'c3'"):
        relabel(tmp_path, list(CELLS.items()), predictions, "scoring_1")
    with pytest.raises(DataError, match="label 'D' of clip 'c0'"):
        relabel(tmp_path, [("c0", "D")], predictions, "scoring_1")
    assert not (tmp_path / "relabeled.csv").exists()


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


# Weights on their way into training.


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
    paths = {}
    for part in ("train", "noisy_train"):
        paths |= {f"{part}_df": str(tmp_path / "out.csv"), f"{part}_data_dir": str(tmp_path)}
    tables = load_splits(run_config(classes=["A", "B"], **paths).data, SubmissionConfig())
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


def test_what_is_in_doubt_is_spelled_as_unknown(tmp_path, capsys):
    """And the next training takes it so: neither there nor not there."""
    rows = [("c0", "B,A"), ("c1", "B,?C"), *((f"c{row}", "ABC"[row % 3]) for row in range(2, 40))]
    scores = [[0.99, 1e-4, 0.01], [0.9999, 0.99, 0.01]]
    scores += [np.where(np.arange(3) == row % 3, 0.99, 0.01).tolist() for row in range(2, 39)]
    scores += [[0.01, 0.99, 0.01]]  # the last clip's label is A, and wrong
    names = [fname for fname, _ in rows]
    found = relabel(tmp_path, rows, Predictions(names, CLASSES, np.array(scores)), "doubt_0.7")
    assert found == [["c0", "A,?B"], ["c1", "?A,B,?C"], *map(list, rows[2:-1])]
    out = capsys.readouterr().out
    assert "kept 39 of 40 clips, 2 with changed labels" in out
    assert "1 labels of kept clips are in doubt, 1 more may be missing" in out
    table = read_table(tmp_path / "relabeled.csv", ["fname", "labels"])
    targets = encode_labels(table["labels"], class_index(CLASSES), "the table", table["fname"])
    np.testing.assert_array_equal(targets[:2], [[1, np.nan, 0], [np.nan, 1, np.nan]])


def test_tables_of_other_classes_are_refused(tmp_path):
    flags = write(tmp_path, "fname,labels\nc0,A\n", [[0.9, 0.1]])
    write_predictions(tmp_path / "o.csv", Predictions(["c0"], ["A", "C"], np.array([[0.5, 0.5]])))
    with pytest.raises(DataError, match="expected the classes of"):
        relabel_noisy_data.main([*flags, str(tmp_path / "o.csv"), "--mode=scoring_1"])


def test_clips_that_prediction_could_not_read_are_not_chosen(toy, finished_experiment, tmp_path, capsys):
    folder, output, kept = tmp_path / "noisy", tmp_path / "preds.csv", tmp_path / "kept.csv"
    shutil.copytree(toy.folder / "train_noisy", folder)
    fname = pd.read_csv(toy.folder / "train_noisy.csv")["fname"][0]
    predict = [f"--experiment={finished_experiment}", f"--test_df={toy.folder / 'train_noisy.csv'}"]
    predict += [f"--test_data_dir={folder}", f"--classmap={toy.classmap}", f"--output_df={output}"]
    predict += ["--num_workers=0", "--device=cpu"]
    relabel = [f"--noisy_df={toy.folder / 'train_noisy.csv'}", f"--noisy_predictions_df={output}"]
    relabel += [f"--output_df={kept}", "--mode=scoring_16"]

    (folder / fname).write_bytes(b"no audio")
    assert predict_2d_cnn.main(predict) == 3
    relabel_noisy_data.main(relabel)
    assert len(pd.read_csv(kept)) == 15 and fname not in set(pd.read_csv(kept)["fname"])
    out = capsys.readouterr().out
    assert "kept 15 of 16 clips" in out and "1 clips could not be read in prediction and are left out" in out

    shutil.copy(toy.folder / "train_noisy" / fname, folder / fname)
    assert predict_2d_cnn.main(predict) == 0
    assert not (tmp_path / "preds.csv.bad_clips.csv").exists()
    relabel_noisy_data.main(relabel)
    assert len(pd.read_csv(kept)) == 16


def test_names_with_commas_come_back_doubled_in_cells_alone(tmp_path):
    classes, truth = ["Bark", "Child speech, kid speaking", ",odd"], np.eye(3, dtype=bool)[[0, 1, 2, 1]]
    truth[0, 1] = truth[1, 2] = True
    noisy = [
        (f"c{row}", cell) for row, cell in enumerate(["Bark", "Child speech,, kid speaking", "Bark", ""])
    ]
    predictions = Predictions([fname for fname, _ in noisy], classes, np.where(truth, 0.9, 0.1))
    relabel(tmp_path, noisy, predictions, "relabelall_1")
    assert (tmp_path / "predictions.csv").read_text().splitlines()[0] == (
        'Bark,"Child speech, kid speaking",",odd",fname'
    )
    cells = dict(read_table(tmp_path / "relabeled.csv", ["fname", "labels"]).to_numpy().tolist())
    assert cells["c0"] == "Bark,Child speech,, kid speaking"
    assert cells["c1"] == "Child speech,, kid speaking, ,,odd"
    found = encode_labels(cells.values(), class_index(classes), "t.csv", cells)
    assert (found == truth[[int(fname[1]) for fname in cells]]).all()
