"""What a newcomer ran into: outputs over inputs, --resume of nothing, clips that nobody could read."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import check_data
import create_class_map
import create_demo_data
import predict_2d_cnn
import relabel_noisy_data
import report_experiment
import review_labels
import score_predictions
import train_2d_cnn
from ops.errors import DataError
from toolkit.cli import parser as cli
from toolkit.clips.sound_files import read_audio

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "main, flags",
    [
        (create_class_map.main, ["--train_df={0}", "--output_file={0}"]),
        (
            relabel_noisy_data.main,
            ["--noisy_df={0}", "--noisy_predictions_df={1}", "--mode=scoring_1", "--output_df={0}"],
        ),
        (
            relabel_noisy_data.main,
            ["--noisy_df={1}", "--noisy_predictions_df", "{1}", "{0}", "--mode=scoring_1", "--output_df={0}"],
        ),
        (score_predictions.main, ["--truth_df={0}", "--predictions_df={1}", "--csv={2}"]),
    ],
)
def test_an_output_never_replaces_an_input(main, flags, tmp_path, capsys):
    first, second, link = (tmp_path / name for name in ("a.csv", "b.csv", "link.csv"))
    first.write_text("fname,labels\na,X\n")
    second.write_text("X,fname\n0.5,a\n")
    link.symlink_to(first)
    with pytest.raises(SystemExit) as stopped:
        main([flag.format(first, second, link) for flag in flags])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and len(error.splitlines()) == 1
    assert "would be overwritten; give another file" in error
    assert first.read_text() == "fname,labels\na,X\n" and second.read_text() == "X,fname\n0.5,a\n"


def test_resume_with_nothing_to_continue_names_the_nearest_experiment(training_flags, tmp_path, capsys):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=2))
    (first,) = (tmp_path / "experiments").iterdir()
    capsys.readouterr()
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1))
    warning = capsys.readouterr().err
    assert f"the nearest, {first}, differs in epochs (2 there, 1 here)" in warning
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1))
    assert "nothing to continue" not in capsys.readouterr().err
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1, label="other"))
    assert "a new experiment begins; no experiment of this label" in capsys.readouterr().err


def test_experiments_dir_that_is_a_file(toy, training_flags):
    with pytest.raises(DataError, match="expected a folder for experiments, found a file"):
        train_2d_cnn.main(training_flags(experiments_dir=toy.classmap))


@pytest.fixture
def experiment(training_flags, only_experiment):
    train_2d_cnn.main(training_flags(epochs=1))
    return only_experiment()


def test_class_names_that_look_like_several_labels_are_told(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("fname,labels\na,Bark;Run\nb,Bark\n")
    flags = [f"--train_df={tmp_path / 't.csv'}", f"--output_file={tmp_path / 'c.json'}"]
    create_class_map.main(flags)
    warning = capsys.readouterr().err
    assert "1 class names look like several labels, as 'Bark;Run'; several go into one quoted cell" in warning
    (tmp_path / "t.csv").write_text('fname,labels\na,"Bark,Run"\n')
    create_class_map.main(flags)
    assert not capsys.readouterr().err


def test_a_noisy_table_of_fewer_clips_than_folds_is_named(toy, training_flags, tmp_path):
    table = tmp_path / "one.csv"
    table.write_text("".join((toy.folder / "train_noisy.csv").read_text().splitlines(keepends=True)[:2]))
    noisy = [f"--noisy_train_df={table}", f"--noisy_train_data_dir={toy.folder / 'train_noisy'}"]
    with pytest.raises(DataError, match=re.escape(f"{table}: expected at least as many clips as folds")):
        train_2d_cnn.main(training_flags("--folds", "0", *noisy))


def test_clips_that_prediction_could_not_read_are_not_chosen(toy, experiment, tmp_path, capsys):
    folder, output, kept = tmp_path / "noisy", tmp_path / "preds.csv", tmp_path / "kept.csv"
    shutil.copytree(toy.folder / "train_noisy", folder)
    fname = pd.read_csv(toy.folder / "train_noisy.csv")["fname"][0]
    predict = [f"--experiment={experiment}", f"--test_df={toy.folder / 'train_noisy.csv'}"]
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


def test_pages_say_which_clips_have_no_sound(toy, experiment, tmp_path, capsys):
    folder, page = tmp_path / "clips", tmp_path / "page.html"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0003.wav").write_bytes(b"no audio")
    report = [f"--experiment={experiment}", f"--output={page}", f"--train_data_dir={folder}"]
    assert report_experiment.main(report) == 3
    assert re.search(r"1 of the page's \d+ clips could not be read; .*curated_0003", capsys.readouterr().err)
    page.unlink()
    with pytest.raises(DataError, match=r"none of the \d+ clips of the page can be read"):
        report_experiment.main([*report[:2], f"--train_data_dir={toy.folder / 'test'}"])
    assert not page.exists()

    noisy = toy.folder / "train_noisy.csv"
    frame = pd.read_csv(noisy)
    classes = list(json.loads(toy.classmap.read_text()))
    preds = pd.DataFrame(0.5, index=range(len(frame)), columns=classes).assign(fname=frame["fname"])
    preds.to_csv(tmp_path / "preds.csv", index=False)
    flags = [f"--noisy_df={noisy}", f"--relabeled_df={noisy}", f"--output={page}"]
    flags += [f"--noisy_predictions_df={tmp_path / 'preds.csv'}", f"--noisy_data_dir={toy.folder / 'test'}"]
    with pytest.raises(DataError, match="none of the 16 clips"):
        review_labels.main(flags)
    assert not page.exists()


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


def test_experiments_of_other_class_orders_are_told_what_brings_them_together(
    toy, training_flags, tmp_path, capsys
):
    reversed_map = tmp_path / "reversed.json"
    classes = list(json.loads(toy.classmap.read_text()))
    reversed_map.write_text(json.dumps({name: i for i, name in enumerate(reversed(classes))}))
    for classmap in (toy.classmap, reversed_map):
        train_2d_cnn.main(training_flags("--folds", "0", epochs=1, classmap=classmap))
    both = sorted(map(str, (tmp_path / "experiments").iterdir()))
    flags = ["--experiment", *both, "--inputs", str(toy.folder / "test"), "--top_k=2", "--device=cpu"]
    with pytest.raises(DataError, match=f"{both[1]}: expected the classes of {both[0]} .* blend_predictions"):
        predict_2d_cnn.main(flags)


@pytest.mark.parametrize("output", ["/dev/null/x", "/proc/demo"])
def test_demo_data_where_nothing_can_be_written(output):
    with pytest.raises(DataError, match=f"{output}.*: cannot be written"):
        create_demo_data.main([f"--output_dir={output}"])


def test_demo_data_interrupted_leaves_nothing_behind(tmp_path, monkeypatch):
    made = []

    def stop_at_the_third(rng, labels, max_snr_db):
        made.append(labels)
        if len(made) == 3:
            raise KeyboardInterrupt
        return np.zeros(100)

    monkeypatch.setattr(create_demo_data, "make_clip", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        create_demo_data.main([f"--output_dir={tmp_path / 'demo'}"])
    assert list((tmp_path / "demo").iterdir()) == []


def test_class_maps_of_no_use_are_told_at_once(tmp_path, capsys):
    table = tmp_path / "t.csv"
    flags = [f"--train_df={table}", f"--output_file={tmp_path / 'm.json'}"]
    table.write_text("fname,labels\na,fname\nb,Bark\n")
    with pytest.raises(DataError, match="'fname' cannot be a class"):
        create_class_map.main(flags)
    assert not (tmp_path / "m.json").exists()
    table.write_text("fname,labels\na,Bark\n")
    create_class_map.main(flags)
    assert "one class, 'Bark', leaves nothing to rank" in capsys.readouterr().err


def test_no_memory_and_no_reader_end_in_one_line(monkeypatch, capsys):
    def no_memory():
        torch.empty(2**60)

    monkeypatch.setattr(sys, "argv", ["predict_2d_cnn.py"])
    with pytest.raises(SystemExit) as stopped:
        cli.run_script(no_memory)
    error = capsys.readouterr().err
    assert stopped.value.code == 1 and error.count("\n") == 1 and "--window_seconds" in error
    done = subprocess.run(
        f"{sys.executable} create_class_map.py --help | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    assert "Traceback" not in done.stderr


def test_hidden_folders_are_the_systems(toy, tmp_path, capsys):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / ".git").mkdir()
    (folder / ".git/object").write_text("x")
    (folder / "more").mkdir()
    (folder / "more/stray.wav").write_text("x")
    flags = [f"--train_df={toy.folder / 'train_curated.csv'}", f"--train_data_dir={folder}"]
    with contextlib.suppress(SystemExit, DataError):
        check_data.main(flags)
    out, err = capsys.readouterr()
    assert "more/stray.wav" in out + err and ".git" not in out + err


def test_files_whose_names_are_not_utf_8_are_read(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav")
    soundfile.write(path, np.zeros(441), 44100)
    assert len(read_audio(os.fsdecode(path))) == 441
