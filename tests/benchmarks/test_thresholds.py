"""The benchmark of thresholds compares them on the same predictions."""

import thresholds


def test_thresholds_are_compared_on_the_same_predictions(benchmark_flags, tmp_path, tiny, capsys):
    flags = [*benchmark_flags, "--curated_epochs=16"]  # enough to calibrate
    thresholds.main(flags)
    rows = [line.rsplit(maxsplit=5) for line in capsys.readouterr().out.splitlines()[-7:]]
    assert [row[0] for row in rows[1:]] == [*thresholds.WAYS, "zlpr, scores above 0"]
    for _, runs, *figures in rows[1:]:
        assert runs == "1" and all(0 <= float(figure) <= 1 for figure in figures)
    trained = {path.name for path in (tmp_path / "work/runs").iterdir()}
    thresholds.main(flags)
    assert {path.name for path in (tmp_path / "work/runs").iterdir()} == trained and len(trained) == 2
