"""The benchmark of tags: its backgrounds, and all of its figures on a tiny layout."""

import numpy as np
import pytest
import tags


@pytest.mark.parametrize("kind", tags.LEVELS_DB)
def test_backgrounds_have_their_levels(kind):
    audio = tags.background(kind, np.random.default_rng(0))
    level = 20 * np.log10(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    low, high = tags.LEVELS_DB[kind]
    assert len(audio) == 60 * 44100 and low - 0.5 <= level <= high + 0.5


def test_all_figures(benchmark_flags, tiny, monkeypatch, capsys):
    monkeypatch.setattr(tags, "RECORDING_SECONDS", 1)
    monkeypatch.setattr(tags, "EVENT_SECONDS", 4)
    tags.main([*benchmark_flags, "--curated_epochs=16", "--minutes=2", "--onset_clips=3"])
    rows = [line.rsplit(maxsplit=3) for line in capsys.readouterr().out.splitlines()]
    figures = {row[0]: float(row[1]) for row in rows if len(row) == 4 and row[0] != "figure"}
    assert len(figures) == 3 + 6 + 3 + 8
    for name in ("out of fold: F1", "test: F1", "test: calibration error", "silence: found"):
        assert 0 <= figures[name] <= 1
    assert figures["silence: tagged minutes of 60"] == 0
