"""The plan of the rounds: counts, epochs, and folders that hold none or another."""

import json

import pytest

import run_noisy_rounds
from ops.errors import DataError


def test_a_dry_run_prints_counts_and_writes_nothing(rounds_flags, tmp_path, capsys):
    modes = ["scoring_6", "scoring_99", "fullmatch_1"]
    run_noisy_rounds.main(
        rounds_flags(tmp_path / "r", modes, "--dry_run", "--share_last_rounds=1", later_epochs=3)
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:5] == [
        "0 none 12 curated 1 predict 16 noisy clips, out of fold to do",
        "1 scoring_6: 6 12 curated + 3 noisy 3 predict 16 noisy clips, out of fold to do",
        "2 scoring_99: 16 12 curated + 8 noisy 3 predict 16 noisy clips, out of fold to do",
        "3 fullmatch_1: at most 16 12 curated + at most 16 noisy 3 the end to do",
    ]
    assert not (tmp_path / "r").exists()


def test_cross_fitted_rounds_train_on_all_but_a_share(rounds_flags, tmp_path, capsys):
    modes, extra = ["scoring_6", "scoring_99"], ["--cross_fit_noisy", "--folds", "0", "1", "2", "3"]
    run_noisy_rounds.main(
        rounds_flags(tmp_path / "r", modes, "--dry_run", "--share_last_rounds=1", *extra, n_folds=4)
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1].startswith("0 none 18 curated 1")
    assert lines[2].startswith("1 scoring_6: 6 18 curated + 5 noisy 1")  # 4.5 on average
    assert lines[3].startswith("2 scoring_99: 16 18 curated + 16 noisy 1")


def test_rounds_of_fewer_clips_may_train_for_as_many_steps(rounds_flags, tmp_path, capsys):
    modes = ["scoring_6", "scoring_99", "fullmatch_1"]
    steps = ["--dry_run", "--share_last_rounds=1", "--equal_steps"]
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", modes, *steps, later_epochs=3))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    # 12 + 8 clips a fold with all of the noisy ones, 12 + 3 with six of them: 3 * 20 / 15 epochs.
    assert lines[2].startswith("1 scoring_6: 6 12 curated + 3 noisy 4 predict")
    assert lines[3].startswith("2 scoring_99: 16 12 curated + 8 noisy 3 predict")
    assert lines[4].startswith("3 fullmatch_1: at most 16 12 curated + at most 16 noisy 3 or more the end")


def test_rounds_of_other_lengths_end_without_augmentation_alike(rounds_flags, tmp_path):
    """The last quarter of the epochs or so, in round 0 and in those of, on fewer clips, more epochs."""
    epochs = {"epochs": 4, "switch_off_augmentations_on": 3, "p_mixup": 0.5}
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"], "--equal_steps", **epochs))
    found = [
        json.loads(path.read_text())["train"] for path in sorted((tmp_path / "r").glob("*/*/config.json"))
    ]
    # 12 + 8 clips a fold against 12 + 3: 4 * 20 / 15 epochs, rounded.
    keys = ("epochs", "switch_off_augmentations_on")
    assert [[train[key] for key in keys] for train in found] == [[4, 3], [5, 3]]


def test_equal_steps_count_the_clips_that_are_drawn(toy, rounds_flags, tmp_path, capsys):
    drawn = {"max_samples": 8, "holdout_size": 0.25, "epochs": 10}
    argv = rounds_flags(tmp_path / "r", ["scoring_12", "scoring_4"], "--equal_steps", **drawn)
    run_noisy_rounds.main([*argv, "--dry_run"])
    printed = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    planned = [[cell for cell in map(str.strip, row) if cell][3] for row in printed[1:4]]
    run_noisy_rounds.main(argv)
    trained = [
        json.loads(next((tmp_path / "r/experiments").glob(f"round_{k}-*/config.json")).read_text())
        for k in range(3)
    ]
    # A fold: 3 curated clips, and of 8 noisy ones 4, of 4 noisy ones 2.
    assert [str(config["train"]["epochs"]) for config in trained] == planned == ["10", "10", "14"]


@pytest.mark.parametrize("left", ["rounds.csv", "submission.csv", "tables/round_1.csv"])
def test_a_folder_without_its_plan_is_no_new_one(rounds_flags, tmp_path, left):
    path = tmp_path / "r" / left
    path.parent.mkdir(parents=True)
    path.write_text("fname,labels\n")
    with pytest.raises(DataError, match=f"expected a new folder, .* found {path} without it"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"]))
    assert path.read_text() == "fname,labels\n"


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"modes": []}'])
def test_a_plan_that_is_none_is_told(rounds_flags, tmp_path, text):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/plan.json").write_text(text)
    with pytest.raises(DataError, match="plan.json: "):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"]))
