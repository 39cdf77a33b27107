"""report_experiment.py on experiments that were trained."""

import json
import re
import shutil

import pandas as pd
import pytest

import report_experiment
import review_labels
import train_2d_cnn
from ops.errors import DataError
from page_data import data_of


def test_pages_say_which_clips_have_no_sound(toy, finished_experiment, tmp_path, capsys):
    folder, page = tmp_path / "clips", tmp_path / "page.html"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0003.wav").write_bytes(b"no audio")
    report = [f"--experiment={finished_experiment}", f"--output={page}", f"--train_data_dir={folder}"]
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


def test_a_report_of_a_real_experiment(training_flags, only_experiment, toy, tmp_path, capsys):
    train_2d_cnn.main(training_flags("--folds", "1", epochs=1))
    page = tmp_path / "report.html"
    report_experiment.main([f"--experiment={only_experiment()}", f"--output={page}", "--max_clips=2"])
    assert "1 of 2 folds finished, 2 clips" in capsys.readouterr().out
    data = data_of(page)
    recorded = json.loads((only_experiment() / "results.json").read_text())["fold1"]["metric"]
    assert data["figures"]["lwlrap"] == pytest.approx(recorded)
    assert [fold["fold"] for fold in data["folds"]] == [1] and len(data["folds"][0]["epochs"]) == 1
    assert all(clip["sound"].startswith("data:audio/mpeg") for clip in data["clips"])
