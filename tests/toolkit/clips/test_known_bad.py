"""Curated clips that are known to be wrong: named when they are met, left out with --drop_known_bad."""

import json
import shutil

import pandas as pd
import pytest

import train_2d_cnn
from ops.errors import DataError
from toolkit.clips import known_bad
from toolkit.clips.known_bad import known_bad_clips


def test_the_six_of_fsdkaggle2019():
    names = ["f76181c4", "77b925c2", "6a1f682a", "c7db12aa", "7752cc8a", "1d44b0bd"]
    found = known_bad_clips([f"{name}.wav" for name in names] + ["0006ae4e.wav"])
    assert list(found) == [f"{name}.wav" for name in names]
    assert [error == "without signal" for error in found.values()] == [False] * 5 + [True]


def test_any_folder_and_format_counts():
    fnames = ["a/f76181c4.flac", "f76181c4", "f76181c4_2.wav", "xf76181c4.wav", ""]
    assert known_bad_clips(fnames) == {"a/f76181c4.flac": "mislabelled", "f76181c4": "mislabelled"}


def test_without_the_list_only_the_flag_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(known_bad, "LIST", tmp_path / "none.csv")
    assert known_bad_clips(["f76181c4.wav"]) == {}
    with pytest.raises(DataError, match="none.csv: expected a CSV table .*does not exist"):
        known_bad_clips(["f76181c4.wav"], must_exist=True)


@pytest.fixture
def with_bad(toy, tmp_path):
    """Flags that name the toy data with two known bad clips, one of them without a file."""
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0000.wav").rename(folder / "f76181c4.wav")
    (folder / "curated_0001.wav").unlink()
    table = pd.read_csv(toy.folder / "train_curated.csv")
    table["fname"] = table["fname"].replace(
        {"curated_0000.wav": "f76181c4.wav", "curated_0001.wav": "1d44b0bd.wav"}
    )
    table.to_csv(tmp_path / "curated.csv", index=False)
    return {"train_df": tmp_path / "curated.csv", "train_data_dir": folder, "epochs": 1}


def test_training_leaves_them_out_and_says_so(with_bad, training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--drop_known_bad", **with_bad))
    experiment = only_experiment()
    assert json.loads((experiment / "config.json").read_text())["data"]["drop_known_bad"] is True
    skipped = pd.read_csv(experiment / "skipped_clips.csv")
    assert list(skipped["fname"]) == ["f76181c4.wav", "1d44b0bd.wav"]
    assert list(skipped["error"]) == ["known bad: mislabelled", "known bad: without signal"]
    assert set(skipped["table"]) == {str(with_bad["train_df"])}
    predicted = [pd.read_csv(experiment / f"predictions/val_preds_fold_{k}.csv") for k in (0, 1)]
    fnames = set(pd.concat(predicted)["fname"])
    assert len(fnames) == 22 and not fnames & {"f76181c4.wav", "1d44b0bd.wav"}
    log = (experiment / "log").read_text()
    assert "2 unusable or known bad clips are left out" in log and "--drop_known_bad" not in log


def test_training_names_them_in_one_line_without_the_flag(with_bad, training_flags, only_experiment):
    shutil.copy(with_bad["train_data_dir"] / "curated_0002.wav", with_bad["train_data_dir"] / "1d44b0bd.wav")
    train_2d_cnn.main(training_flags("--folds", "0", **with_bad))
    lines = [line for line in (only_experiment() / "log").read_text().splitlines() if "known" in line]
    assert len(lines) == 1
    assert "2 curated clips are known to be wrong (f76181c4.wav, 1d44b0bd.wav)" in lines[0]
    assert lines[0].endswith("leave them out with --drop_known_bad")


def test_a_table_of_nothing_else(with_bad, training_flags):
    with_bad["train_df"].write_text("fname,labels\nf76181c4.wav,Bell\n")
    with pytest.raises(DataError, match="all its clips are known to be wrong"):
        train_2d_cnn.main(training_flags("--drop_known_bad", **with_bad))
