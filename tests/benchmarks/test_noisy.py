"""The benchmark of noisy clips: it goes on where it was; its figures by hand."""

import noisy
import numpy as np
import pytest


def test_the_benchmark_of_noisy_clips_goes_on_where_it_was(
    benchmark_flags, tmp_path, tiny, capsys, monkeypatch
):
    flags = [*benchmark_flags, "--label_noise", "0.4", "--methods"]
    noisy.main([*flags, "scoring_out_of_fold", "curated"])
    capsys.readouterr()
    rounds = list((tmp_path / "work/runs").glob("*-scoring_out_of_fold-*/rounds"))
    assert len(list(rounds[0].glob("experiments/round_0-*"))) == 1
    borrowed = (next(rounds[0].glob("experiments/round_0-*")) / "log").read_text()
    assert borrowed.count(" epoch 0:") == 2 and "finished before, nothing to do" in borrowed
    monkeypatch.setattr(noisy, "train", None)  # what is there is not trained again
    noisy.main([*flags, "scoring_out_of_fold", "curated"])
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ["scoring_out_of_fold", "1", "scoring_5"] in [row[:3] for row in rows]
    assert ["curated", "1"] in [row[:2] for row in rows]
    monkeypatch.undo()


def test_the_share_recovered_by_hand():
    curated, method, oracle = np.array([0.5, 0.6]), np.array([0.6, 0.7]), np.array([0.7, 0.9])
    share, spread = noisy.recovered(curated, method, oracle)
    assert share == pytest.approx(0.2 / 0.5)
    # Without either pair: 0.1 / 0.3 and 0.1 / 0.2.
    assert spread == pytest.approx(np.sqrt(0.5 * 2 * ((1 / 2 - 1 / 3) / 2) ** 2))


def test_layouts_that_say_nothing_are_left_out():
    def result(precision):
        return {
            "lwlrap": sum(precision) / len(precision),
            "precision": precision,
            "n_labels": [1] * len(precision),
        }

    sure = result([0.2] * 50), result([0.9] * 50)
    unsure = result([0.2, 0.9] * 25), result([0.9, 0.3] * 25)
    results = {}
    for rotation, (low, high) in ((1, sure), (2, unsure)):
        results[rotation, 0.4, 0, "curated"], results[rotation, 0.4, 0, "oracle"] = low, high
    telling, left_out = noisy.telling_layouts(results, 0.4, [0])
    assert telling == [1] and len(left_out) == 1 and left_out[0].startswith("rotation 2 is left out")
