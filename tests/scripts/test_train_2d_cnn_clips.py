"""train_2d_cnn.py on clips and tables with problems: named at once, skipped, or left out."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import train_2d_cnn
from ops.errors import DataError
from toy_data import CLASSES, with_noisy, with_test


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


def test_a_test_clip_that_cannot_be_decoded_does_not_end_a_run(toy, full_flags, tmp_path, capsys):
    folder = tmp_path / "test"
    shutil.copytree(toy.folder / "test", folder)
    bad = sorted(folder.iterdir())[2]
    soundfile.write(bad, np.full(9000, np.nan, dtype=np.float32), 44100, subtype="FLOAT")
    train_2d_cnn.main(full_flags("experiments", epochs=1, test_data_dir=folder))
    out = capsys.readouterr().out
    assert "warning: 1 test clips cannot be read and get the mean of the others" in out and bad.name in out
    (path,) = (tmp_path / "experiments").glob("*/predictions/test_preds_fold_0.csv")
    found = pd.read_csv(path).set_index("fname")
    np.testing.assert_allclose(found.loc[bad.name], found.drop(bad.name).mean(), rtol=1e-6)


def test_label_outside_the_class_map(toy, training_flags, tmp_path):
    classmap = tmp_path / "few.json"
    classmap.write_text(json.dumps({name: i for i, name in enumerate(CLASSES[1:])}))
    with pytest.raises(DataError, match="4 x unknown label: .*'Alarm' not in .*create_class_map.py"):
        train_2d_cnn.main(training_flags(classmap=classmap))
    assert not (tmp_path / "experiments").exists()


def test_all_unusable_clips_are_named_at_once(toy, training_flags, tmp_path):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0000.wav").unlink()
    (folder / "curated_0001.wav").write_bytes(b"")
    soundfile.write(folder / "curated_0002.wav", np.zeros(0), 44100)
    with pytest.raises(DataError, match="1 x missing: .*0000.*; 2 x empty: .*0001.*0002.*--skip_bad_clips"):
        train_2d_cnn.main(training_flags(train_data_dir=folder))
    assert not (tmp_path / "experiments").exists()


def test_problems_of_all_tables_are_told_at_once(toy, training_flags, tmp_path):
    folder, classmap = tmp_path / "clips", tmp_path / "few.json"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / "curated_0002.wav").unlink()
    classmap.write_text(json.dumps({name: i for i, name in enumerate(CLASSES[1:])}))
    flags = {**with_noisy(toy), "noisy_train_data_dir": tmp_path / "none", "train_data_dir": folder}
    with pytest.raises(DataError) as raised:
        train_2d_cnn.main(training_flags(**flags, classmap=classmap))
    folders, labels, missing = raised.value.lines
    assert folders.startswith("1 x unusable table") and f"{tmp_path / 'none'}: expected the folder" in folders
    assert re.match(r"\d+ x unknown label: .*train_curated.csv: .*train_noisy.csv: ", labels)
    assert re.fullmatch(r"1 x missing: .*: curated_0002.wav; repair .*--skip_bad_clips", missing)


def test_clips_that_hold_less_than_they_promise_stop_training_before_it_starts(
    toy, training_flags, tmp_path, only_experiment
):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    cut = folder / "curated_0003.wav"
    cut.write_bytes(cut.read_bytes()[:-3000])
    soundfile.write(folder / "curated_0004.wav", np.full(9000, 12345.0), 44100, subtype="FLOAT")
    words = r"1 x decoded in part: .*curated_0003.wav \(only .*1 x beyond full scale: .*curated_0004.wav \("
    with pytest.raises(DataError, match=words):
        train_2d_cnn.main(training_flags(train_data_dir=folder))
    assert not (tmp_path / "experiments").exists()
    train_2d_cnn.main(training_flags("--skip_bad_clips", train_data_dir=folder, epochs=1))
    skipped = pd.read_csv(only_experiment() / "skipped_clips.csv")
    assert list(skipped["fname"]) == ["curated_0003.wav", "curated_0004.wav"]


def test_ten_of_each_kind_and_the_count_a_line_a_kind(toy, training_flags, tmp_path, run_script):
    folder, table = tmp_path / "clips", tmp_path / "table.csv"
    shutil.copytree(toy.folder / "train_curated", folder)
    for number in range(12):
        (folder / f"curated_{number:04}.wav").unlink()
    (folder / "curated_0013.wav").write_bytes(b"no audio")
    rows = pd.read_csv(toy.folder / "train_curated.csv")
    pd.concat([rows, rows[20:22]]).to_csv(table, index=False)
    done = run_script("train_2d_cnn.py", *training_flags(train_df=table, train_data_dir=folder))
    assert done.returncode == 1
    ten = ", ".join(f"curated_{number:04}.wav" for number in range(10))
    repair = "repair or restore these files, remove their rows, or train with --skip_bad_clips"
    assert done.stderr.splitlines() == [
        f"error: 2 x duplicate fname: {table}: curated_0020.wav, curated_0021.wav; remove the extra rows",
        f"error: 12 x missing: {table}: {ten}; and 2 more; {repair}",
        f"error: 1 x unreadable: {table}: curated_0013.wav; {repair}",
    ]
    assert not (tmp_path / "experiments").exists()


def test_skipping_bad_clips_goes_on_and_lists_them(toy, training_flags, tmp_path, only_experiment):
    folder, test = tmp_path / "clips", tmp_path / "test"
    shutil.copytree(toy.folder / "train_curated", folder)
    shutil.copytree(toy.folder / "test", test)
    (folder / "curated_0000.wav").unlink()
    nan = np.full(999, np.nan, dtype=np.float32)
    soundfile.write(folder / "curated_0001.wav", nan, 44100, subtype="FLOAT")
    (test / "test_0003.wav").write_bytes(b"no audio")
    flags = {**with_test(toy), "train_data_dir": folder, "test_data_dir": test}
    with pytest.raises(DataError, match="1 x missing: .*curated_0000.*--skip_bad_clips"):
        train_2d_cnn.main(training_flags(**flags, epochs=1))
    train_2d_cnn.main(training_flags("--skip_bad_clips", **flags, epochs=1))
    skipped = pd.read_csv(only_experiment() / "skipped_clips.csv")
    assert list(skipped["fname"]) == ["curated_0000.wav", "curated_0001.wav", "test_0003.wav"]
    table = pd.read_csv(only_experiment() / "predictions/submission.csv").set_index("fname")
    np.testing.assert_allclose(table.loc["test_0003.wav"], table.drop("test_0003.wav").mean())


def test_a_clip_that_breaks_off_in_training_ends_it_in_one_line(toy, training_flags, tmp_path, run_script):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    values = np.zeros(44100, dtype=np.float32)
    values[77] = np.nan
    soundfile.write(folder / "curated_0003.wav", values, 44100, subtype="FLOAT")
    done = run_script("train_2d_cnn.py", *training_flags(train_data_dir=folder, num_workers=1))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "curated_0003.wav: expected finite samples" in done.stderr.splitlines()[-1]


def test_exit_codes_and_one_line(toy, training_flags, run_script, tmp_path):
    done = run_script("train_2d_cnn.py", *training_flags(train_df="missing.csv"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: missing.csv: expected a CSV table")
    done = run_script("relabel_noisy_data.py", "--mode", "scoring")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert not (tmp_path / "experiments").exists()


def test_a_noisy_table_of_fewer_clips_than_folds_is_named(toy, training_flags, tmp_path):
    table = tmp_path / "one.csv"
    table.write_text("".join((toy.folder / "train_noisy.csv").read_text().splitlines(keepends=True)[:2]))
    noisy = [f"--noisy_train_df={table}", f"--noisy_train_data_dir={toy.folder / 'train_noisy'}"]
    with pytest.raises(DataError, match=re.escape(f"{table}: expected at least as many clips as folds")):
        train_2d_cnn.main(training_flags("--folds", "0", *noisy))
