"""The benchmark of what training starts from, on a tiny layout: it goes on where it was and pairs by seed."""

import json

import pandas as pd
import pretraining


def test_methods_are_paired_and_trained_once(benchmark_flags, tiny, tmp_path, capsys):
    csv = tmp_path / "results.csv"
    flags = [*benchmark_flags, "--pretraining_epochs=1", "--curated_epochs=1", f"--results_csv={csv}"]
    methods = ["nothing", "contrastive", "warm_up"]
    pretraining.main([*flags, "--methods", *methods])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    assert [row[0] for row in rows] == methods and [row[-2] for row in rows] == ["1"] * 3
    gain = float(rows[1][1]) - float(rows[0][1])
    assert abs(float(rows[1][2]) - gain) < 0.0011 and 0 < float(rows[1][-1]) < 1 and rows[2][-1] == "-"
    starts = [
        json.loads(path.read_text())["train"]["init_from"]
        for path in tmp_path.glob("work/runs/*/experiments/*/config.json")
    ]
    assert len(starts) == 3 and sum(start is not None for start in starts) == 2
    table = pd.read_csv(csv)
    assert table["metric"].value_counts().to_dict() == {"test_lwlrap": 3, "probe_lwlrap": 1}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("work/runs/*/result.json")}
    pretraining.main([*flags, "--report_only", "--methods", *methods])
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(pd.read_csv(csv)) == 4
