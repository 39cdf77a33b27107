"""run_noisy_rounds.py started with other tables, modes or folders than before."""

import pandas as pd
import pytest

import run_noisy_rounds
from ops.errors import DataError
from real_processes import lasting
from toolkit.system.files import write_json


def test_where_a_mode_keeps_too_few_other_rounds_take_over_round_0(toy, rounds_flags, tmp_path, capsys):
    table = tmp_path / "noisy.csv"
    frame = pd.read_csv(toy.folder / "train_noisy.csv")
    frame.loc[1:, "labels"] = ""  # soft_1 keeps clips with labels
    frame.to_csv(table, index=False)
    with pytest.raises(DataError, match="round 1: soft_1 keeps 1 of the 16 noisy clips, fewer than the 2"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["soft_1"], noisy_train_df=table))
    assert not (tmp_path / "r/tables/round_1.csv").exists()
    before = lasting(tmp_path / "r")
    for changed in (["relabelall_1"], ["relabelall_1", "soft_1"]):
        with pytest.raises(DataError, match="differs from this command in modes"):
            run_noisy_rounds.main(rounds_flags(tmp_path / "r", changed, noisy_train_df=table))
    assert lasting(tmp_path / "r") == before
    (tmp_path / "other").mkdir()
    (tmp_path / "r/experiments").rename(tmp_path / "other/experiments")
    capsys.readouterr()
    run_noisy_rounds.main(rounds_flags(tmp_path / "other", ["relabelall_1"], noisy_train_df=table))
    out = capsys.readouterr().out
    assert out.count("finished before, nothing to do") == 2 and out.count("epoch 0:") == 2


def test_the_label_of_rounds_is_found_again(rounds_flags, tmp_path):
    given = rounds_flags(tmp_path / "r", ["relabelall_1"])
    assert run_noisy_rounds.parse_args(given).label == "round"
    (tmp_path / "r").mkdir()
    write_json(tmp_path / "r" / "plan.json", {"modes": [], "config": {"label": "mine"}})
    assert run_noisy_rounds.parse_args(given).label == "mine"
    assert run_noisy_rounds.parse_args([*given, "--label=other"]).label == "other"


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
