"""Tables of runs: what stands in results/ can be read, and rows are added once."""

import argparse

import pandas as pd
import pytest
import results_csv

from repository import ROOT

ABOUT = {"experiment": "noisy", "setting": "ours --epochs=4", "rotation": 1, "seed": 0}
MADE = {"date": "2026-01-02", "commit": "abcdef0", "machine": "a CPU, 2 cores"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/*.csv")), ids=lambda path: path.name)
def test_tables_of_the_repository(path):
    assert results_csv.results_table(str(path)) == path
    frame = pd.read_csv(path)
    assert not frame[["experiment", "setting", "metric", "value"]].isna().any(axis=None)
    told_apart = frame[frame["seed"].notna()].drop(columns="value")
    assert frame["value"].dtype == float and not told_apart.duplicated().any()


def test_rows_of_a_run_and_what_it_does_not_tell():
    figures = {"test_lwlrap": 0.12345678, "steps": 30, "kept": None, "recall": float("nan")}
    rows = results_csv.rows_of(ABOUT, MADE, figures)
    shared = {"experiment": "noisy", "setting": "ours --epochs=4", "rotation": "1", "seed": "0", **MADE}
    assert rows == [
        {**shared, "metric": "test_lwlrap", "value": "0.123457"},
        {**shared, "metric": "steps", "value": "30"},
    ]
    (old,) = results_csv.rows_of(ABOUT, {"lwlrap": 0.5}, {"test_lwlrap": 0.5})
    assert [old[name] for name in results_csv.MADE] == ["", "", ""]


def test_rows_are_added_once_and_none_is_lost(tmp_path):
    path = tmp_path / "results" / "noisy.csv"
    first, second = (results_csv.rows_of(ABOUT, MADE, {"test_lwlrap": value}) for value in (0.5, 0.25))
    results_csv.add_rows(path, first)
    before = path.read_bytes()
    results_csv.add_rows(path, first)
    assert path.read_bytes() == before
    results_csv.add_rows(path, [*second, *first])
    assert pd.read_csv(path)["value"].tolist() == [0.5, 0.25]
    assert path.read_text().startswith(",".join(results_csv.COLUMNS))


def test_another_table_is_refused_before_anything_runs(tmp_path):
    path = tmp_path / "train.csv"
    for text in ("fname,labels\na.wav,Bark\n", "", "# Words\n\na, b\n"):
        path.write_text(text)
        with pytest.raises(argparse.ArgumentTypeError, match="train.csv: expected") as raised:
            results_csv.results_table(str(path))
        assert "\n" not in str(raised.value) and path.read_text() == text


def test_where_a_run_was_made():
    made = results_csv.made_now()
    assert pd.Timestamp(made["date"]) and "cores" in made["machine"] and made["commit"]
