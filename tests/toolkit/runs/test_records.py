"""What a run begins with, and which folds saw a noisy clip."""

import json

import pandas as pd
import pytest
import torch

import train_2d_cnn
from ops.errors import DataError
from toolkit.runs import records
from toolkit.runs.records import code_version, merge_seen
from toolkit.system.files import sum_path


def test_what_a_warm_start_saw_counts():
    first = {"a": frozenset({0}), "b": frozenset({1})}
    second = {"b": frozenset({0}), "c": frozenset({1})}
    assert merge_seen(first, second) == {"a": frozenset({0}), "b": frozenset({0, 1}), "c": frozenset({1})}


def test_what_a_run_begins_with_is_written(training_flags, only_experiment):
    flags = training_flags("--folds", "0", epochs=1, label="a")
    train_2d_cnn.main(flags)
    folder, (commit, modified) = only_experiment(), code_version()
    assert (folder / "command").read_text().startswith("train_2d_cnn.py --train_df=")
    assert (folder / "commit_hash").read_text() == f"{commit}\n" and len(commit) in (7, 40)  # or "unknown"
    assert set(json.loads((folder / "clips.json").read_text())) == {
        "curated",
        "noisy",
        "curated audio",
        "noisy audio",
    }
    assert len(pd.read_csv(folder / "validation_folds.csv")) == 24
    (session,) = pd.read_csv(folder / "sessions.csv").to_dict("records")
    assert session["commit"] == commit and session["modified"] == ("yes" if modified else "no")
    assert session["device"] == "cpu" and str(session["torch"]).count(".") >= 2


def test_resumed_under_other_code_is_recorded_and_told(training_flags, only_experiment, monkeypatch, capsys):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=1))
    folder, (commit, _) = only_experiment(), code_version()
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1))
    assert "under other versions" not in capsys.readouterr().out
    monkeypatch.setattr(records, "code_version", lambda: ("f" * 40, True))
    train_2d_cnn.main(training_flags("--folds", "1", "--resume", epochs=1))
    assert f"commit {commit} then, {'f' * 40} now" in capsys.readouterr().out
    assert (folder / "commit_hash").read_text() == f"{commit}\n{'f' * 40}\n"
    sessions = pd.read_csv(folder / "sessions.csv")
    assert list(sessions["session"]) == [1, 2, 3] and list(sessions["commit"]) == [commit, commit, "f" * 40]
    assert len((folder / "command").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "name, change, expected",
    [
        (
            "config.json",
            lambda text: text.replace('"lr": 0.01', '"lr": 0.02'),
            "differs from the configuration",
        ),
        ("config.json", lambda text: text[:-30], "no valid JSON"),
        (
            "clips.json",
            lambda text: text.replace('"curated": "', '"curated": "0'),
            "the curated clips or their",
        ),
        (
            "validation_folds.csv",
            lambda text: text.replace(",0", ",2").replace(",1", ",0"),
            "folds have changed",
        ),
        ("validation_folds.csv", lambda text: text.replace(",0", ",x"), "the number of a fold"),
    ],
)
def test_a_run_that_began_with_something_else_is_not_resumed(
    training_flags, only_experiment, name, change, expected
):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=1))
    path = only_experiment() / name
    path.write_text(change(path.read_text()))
    sum_path(path).unlink(missing_ok=True)  # as in earlier versions
    with pytest.raises(DataError, match=expected):
        train_2d_cnn.main(training_flags("--folds", "1", "--resume", epochs=1))


def test_resumed_with_other_threads_is_told(training_flags, only_experiment, capsys):
    """Sums over them differ in the last digits."""
    flags = training_flags("--folds", "0", epochs=1)
    train_2d_cnn.main(flags)
    train_2d_cnn.main([*flags, "--resume"])
    assert "another machine" not in capsys.readouterr().out
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        train_2d_cnn.main([*flags, "--resume"])
    finally:
        torch.set_num_threads(before)
    assert f"threads {before} then, {before + 1} now" in capsys.readouterr().out
    sessions = pd.read_csv(only_experiment() / "sessions.csv")
    assert sessions["threads"].tolist() == [before, before, before + 1] and sessions["cpu"].notna().all()


def test_sessions_of_earlier_versions_are_not_compared_with_what_they_lack(
    training_flags, only_experiment, capsys
):
    flags = training_flags("--folds", "0", epochs=1)
    train_2d_cnn.main(flags)
    path = only_experiment() / "sessions.csv"
    pd.read_csv(path).drop(columns=["threads", "cpu"]).to_csv(path, index=False)
    sum_path(path).unlink()
    for _ in range(2):
        train_2d_cnn.main([*flags, "--resume"])
    assert "another machine" not in capsys.readouterr().out
