"""run_noisy_rounds.py started with other tables, modes or folders than before, and what users do wrong."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

import run_noisy_rounds
from ops.errors import DataError
from real_processes import lasting


def test_what_later_rounds_would_stumble_over_is_told_first(toy, rounds_flags, tmp_path):
    table = tmp_path / "noisy.csv"
    table.write_text("fname,labels\nnone.wav,Bell\n")
    with pytest.raises(DataError, match="none.wav"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_2"], noisy_train_df=table))
    truth = tmp_path / "truth.csv"
    truth.write_text("fname,labels\nother.wav,Bell\n")
    with pytest.raises(DataError, match="expected the true labels of every noisy clip"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_2"], f"--noisy_truth_df={truth}"))
    with pytest.raises(DataError, match="scoring_1: expected at least 2 clips, one for each fold"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_1"]))
    assert not list(tmp_path.glob("r/*"))


def test_a_mode_that_keeps_nothing_ends_the_rounds_in_one_line(toy, rounds_flags, tmp_path):
    folder = tmp_path / "noisy"
    folder.mkdir()
    soundfile.write(folder / "n.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 9000), 44100)
    (tmp_path / "noisy.csv").write_text("fname,labels\nn.wav,\n")
    tables = {"noisy_train_df": tmp_path / "noisy.csv", "noisy_train_data_dir": folder}
    with pytest.raises(DataError, match="round 1: soft_1 keeps none of the 1 noisy clips"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["soft_1"], **tables))


def test_a_mode_that_keeps_too_few_is_changed_and_the_rounds_before_stay(toy, rounds_flags, tmp_path):
    table = tmp_path / "noisy.csv"
    frame = pd.read_csv(toy.folder / "train_noisy.csv")
    frame.loc[1:, "labels"] = ""  # soft_1 keeps clips with labels
    frame.to_csv(table, index=False)
    modes = ["relabelall_1", "soft_1"]
    with pytest.raises(DataError, match="round 2: soft_1 keeps 1 of the 16 noisy clips, fewer than the 2"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", modes, noisy_train_df=table))
    assert not (tmp_path / "r/tables/round_2.csv").exists()
    before = lasting(tmp_path / "r/experiments")
    for changed in (["relabelall_2", "soft_1"], ["relabelall_1"]):  # a round that is trained; none instead
        with pytest.raises(DataError, match="differs from this command in modes"):
            run_noisy_rounds.main(rounds_flags(tmp_path / "r", changed, noisy_train_df=table))
    # Killed after this table was written, before training began.
    (tmp_path / "r/tables/round_2.csv").write_text(table.read_text())
    run_noisy_rounds.main(
        rounds_flags(tmp_path / "r", ["relabelall_1", "relabelall_2"], noisy_train_df=table)
    )
    assert lasting(tmp_path / "r/experiments").items() >= before.items()
    kept = pd.read_csv(tmp_path / "r/tables/round_2.csv", keep_default_na=False)
    assert len(kept) == 16 and (kept["labels"] != "").all()
    assert json.loads((tmp_path / "r/plan.json").read_text())["modes"] == ["relabelall_1", "relabelall_2"]


def test_rounds_are_found_again_however_their_folder_is_spelled(toy, rounds_flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = toy.folder / "train_noisy_truth.csv"
    run_noisy_rounds.main(rounds_flags("r", ["scoring_6"], "--warm_start", f"--noisy_truth_df={truth}"))
    before = lasting(tmp_path / "r")
    for spelled in ("./r/", tmp_path / "r"):
        run_noisy_rounds.main(rounds_flags(spelled, ["scoring_6"], "--warm_start"))
        assert lasting(tmp_path / "r") == before, "what was measured against the truth, too"
    (tmp_path / "r").rename(tmp_path / "moved")
    with pytest.raises(DataError, match="moved: these rounds began as --rounds_dir r, .* move it back"):
        run_noisy_rounds.main(rounds_flags("moved", ["scoring_6"], "--warm_start"))


@pytest.mark.parametrize("left", ["rounds.csv", "submission.csv", "tables/round_1.csv"])
def test_a_folder_without_its_plan_is_no_new_one(rounds_flags, tmp_path, left):
    path = tmp_path / "r" / left
    path.parent.mkdir(parents=True)
    path.write_text("fname,labels\n")
    with pytest.raises(DataError, match=f"expected a new folder, .* found {path} without it"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"]))
    assert path.read_text() == "fname,labels\n"


def test_tables_that_change_between_two_starts_are_refused(toy, rounds_flags, tmp_path):
    tables = {name: tmp_path / f"{name}.csv" for name in ("train_df", "noisy_train_df")}
    for path, name in zip(tables.values(), ("train_curated.csv", "train_noisy.csv"), strict=True):
        path.write_text((toy.folder / name).read_text())
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"], **tables))
    before = lasting(tmp_path / "r")
    for name, expected in (("noisy_train_df", "in noisy_clips"), ("train_df", "the curated clips or their")):
        text = tables[name].read_text()
        tables[name].write_text("".join(text.splitlines(keepends=True)[:-1]))
        with pytest.raises(DataError, match=expected):
            run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"], **tables))
        tables[name].write_text(text)
    tables["noisy_train_df"].unlink()
    with pytest.raises(DataError, match="noisy_train_df.csv: "):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"], **tables))
    assert lasting(tmp_path / "r") == before


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"modes": []}'])
def test_a_plan_that_is_none_is_told(rounds_flags, tmp_path, text):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/plan.json").write_text(text)
    with pytest.raises(DataError, match="plan.json: "):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"]))


def test_some_of_the_folds_alone(toy, rounds_flags, tmp_path, capsys):
    test = {"sample_submission": toy.folder / "sample_submission.csv", "test_data_dir": toy.folder / "test"}
    argv = rounds_flags(tmp_path / "r", ["scoring_6"], "--warm_start", "--folds", "0", **test)
    run_noisy_rounds.main(argv)
    out = capsys.readouterr().out
    assert "folds 1 (these rounds train folds 0 alone, not 1)" in out and "--resume" not in out
    assert f"no {tmp_path / 'r/submission.csv'}: it needs the test predictions of all folds" in out
    with pytest.raises(SystemExit):
        run_noisy_rounds.main([*argv, "--blend_rounds=2"])
    assert "--blend_rounds takes test predictions of all folds" in capsys.readouterr().err


@pytest.mark.parametrize(
    "extra, changed, expected",
    [
        ([], {"noisy_train_df": None, "noisy_train_data_dir": None}, "give --noisy_train_df"),
        (["--no_frequency_encoding"], {"network": "1d"}, "--network 2d"),
        (["--resume"], {}, "--resume"),
        (["--experiments_dir=x"], {}, "--experiments_dir"),
        (["--later_epochs=0"], {}, "at least 1"),
        (["--blend_rounds=2"], {}, "give --sample_submission and --test_data_dir, or leave it out"),
        (["--blend_rounds=3"], {}, "expected at most 2, round 0 and those of --rounds, got 3"),
        (["--folds", "2"], {}, "expected 0 to 1"),
        (["--share_last_rounds=2"], {}, "expected at most 1, the rounds of --rounds, got 2"),
        (["--share_last_rounds=1", "--share_noisy"], {}, "leave out it or --share_last_rounds"),
    ],
)
def test_usage(rounds_flags, tmp_path, capsys, extra, changed, expected):
    with pytest.raises(SystemExit) as stopped:
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_1"], *extra, **changed))
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and expected in error
