"""The benchmark of claims: measured once and kept; its variants and verdicts by hand."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import claims
import numpy as np
import pandas as pd
import pytest


def test_a_claim_is_measured_and_kept(benchmark_flags, tmp_path, tiny, capsys):
    flags = [*benchmark_flags, "--claims", "mixup_paste"]
    claims.main(flags)
    first = capsys.readouterr().out
    assert "one pair has no spread" in first
    table = tmp_path / "results.csv"
    claims.main([*flags, "--report_only", f"--results_csv={table}"])
    assert capsys.readouterr().out == first
    frame = pd.read_csv(table)
    flags = "--curated_epochs=2 --epochs=1 --mixup={} --p_two=0.2"
    assert list(frame["setting"]) == [flags.format("paste"), flags.format("add")]
    assert set(frame["metric"]) == {"test_lwlrap"} and not frame["commit"].isna().any()
    assert len(list((tmp_path / "work/runs").glob("*/result.json"))) == 2


def test_claims_share_their_common_side_and_train_on_true_labels_where_told(
    benchmark_flags, tmp_path, tiny, capsys
):
    claims.main([*benchmark_flags, "--labels=true", "--claims", "mixup", "masks", "frequency"])
    assert capsys.readouterr().out.count("seed 0") == 3
    runs = list((tmp_path / "work/runs").glob("*/experiments/*/config.json"))
    assert len(runs) == 4  # three alternatives, one base
    tables = {json.loads(run.read_text())["data"]["noisy_train_df"] for run in runs}
    assert [Path(table).name for table in tables] == ["train_noisy_truth.csv"]


HELPS = claims.Claim("", claims.BASE, claims.BASE)
NO_HELP = replace(HELPS, helps=False)


@pytest.mark.parametrize(
    "differences, claim, expected",
    [
        ([0.02, 0.03, 0.025], replace(HELPS, by=0.015), "holds here: "),
        ([0.02, 0.03, 0.025], replace(HELPS, by=0.05), "holds here, but by less"),
        ([-0.02, -0.03, -0.025], HELPS, "does not hold here"),
        ([-0.02, 0.03, 0.025], HELPS, "cannot be told from noise"),
        ([-0.02, -0.03, -0.025], NO_HELP, "holds here: no help"),
        ([0.02, 0.03, 0.025], NO_HELP, "does not hold here"),
    ],
)  # fmt: skip
def test_verdicts(differences, claim, expected):
    assert claims.verdict(np.array(differences), claim).startswith(expected)


def test_intervals_and_the_pairs_that_a_narrow_one_takes():
    mean, margin = claims.interval(np.array([0.01, 0.02, 0.03]))
    assert mean == pytest.approx(0.02) and margin == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-3)
    assert claims.pairs_needed(np.array([0.01, 0.02, 0.03])) == 4  # (1.96 * 0.01 / 0.01)**2
    assert np.isnan(claims.interval(np.array([0.1]))[1]) and claims.pairs_needed(np.array([0.1])) is None


@pytest.mark.parametrize("spread, expected", [(0.001, claims.MIN_PAIRS), (0.1, 9)])
def test_a_claim_ends_once_its_interval_is_narrow(monkeypatch, tmp_path, capsys, spread, expected):
    def score(args, side, layout, seed):
        return {"lwlrap": 0.9 if side == claims.BASE else 0.8 + spread * (seed % 2)}

    layout = SimpleNamespace(name="digits")
    monkeypatch.setattr(claims, "make_layout", lambda *_: layout)
    monkeypatch.setattr(claims, "work", score)
    flags = ["--data_script=x", f"--work_dir={tmp_path}", "--claims", "mixup", "--interval=0.01", "--seeds"]
    claims.main([*flags, *map(str, range(9))])
    assert capsys.readouterr().out.count("digits seed") == expected
    (row,) = pd.read_csv(tmp_path / "claims.csv").to_dict("records")
    assert row["pairs"] == expected and row["claim"] == "OR-MixUp against none"
