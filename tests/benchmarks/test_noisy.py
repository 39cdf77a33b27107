"""The benchmark of noisy clips: it goes on where it was; its figures by hand."""

import json

import noisy
import numpy as np
import pandas as pd
import pytest
import real_runs
import shares


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
    table = tmp_path / "results.csv"
    noisy.main([*flags, "scoring_out_of_fold", "curated", f"--results_csv={table}"])
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ["scoring_out_of_fold", "1", "scoring_5"] in [row[:3] for row in rows]
    assert ["curated", "1"] in [row[:2] for row in rows]
    monkeypatch.undo()
    frame = pd.read_csv(table)
    setting = "--curated_epochs=2 --epochs=1 --mixup=concat --p_two=0.2"
    assert set(frame["setting"]) == {f"scoring_out_of_fold {setting}", f"curated {setting}"}
    assert set(frame["experiment"]) == {"noisy, digits, even_0.4"}
    of_rounds = frame.set_index(["setting", "metric"])["value"][f"scoring_out_of_fold {setting}"]
    assert (
        of_rounds["round_2_test_lwlrap"] == of_rounds["test_lwlrap"] and of_rounds["round_1_noisy_clips"] == 5
    )
    assert not frame[["date", "commit", "machine"]].isna().any(axis=None)


def test_clips_outside_the_map_recorded_elsewhere_and_blends_of_two_trainings(
    benchmark_flags, tmp_path, tiny, capsys, monkeypatch
):
    flags = [*benchmark_flags, "--noise", "open_0.25", "--mismatch", "--methods", "curated_x2", "oracle_x2"]
    noisy.main(flags)
    (base,) = (tmp_path / "work/layouts").iterdir()
    classes = list(json.loads((base / "open/classmap.json").read_text()))
    assert len(classes) == 6 < len(json.loads((base / "classmap.json").read_text()))
    given, truth, oracle = (
        pd.read_csv(base / f"train_noisy{name}_open_0.25.csv", keep_default_na=False)
        for name in ("", "_truth", "_oracle")
    )
    assert list(given["fname"]) == list(truth["fname"])
    assert list(oracle["fname"]) == list(truth["fname"][truth["labels"] != ""]) != list(truth["fname"])
    for name in ("train_curated", "test_truth"):
        labels = ",".join(pd.read_csv(base / f"open/{name}.csv")["labels"]).split(",")
        assert set(labels) <= set(classes)
    heard = {path.name: path.read_bytes() for path in (base / "train_noisy_elsewhere").iterdir()}
    assert heard.keys() == {path.name for path in (base / "train_noisy").glob("*.wav")}
    assert all(content != (base / "train_noisy" / name).read_bytes() for name, content in heard.items())
    (blend,) = (tmp_path / "work/runs").glob("*open-curated_x2*")
    members = [json.loads((path / "result.json").read_text()) for path in runs_of(tmp_path, "open-curated-")]
    assert json.loads((blend / "result.json").read_text())["steps"] == sum(m["steps"] for m in members)
    commands = [next(path.glob("experiments/*/command")).read_text() for path in runs_of(tmp_path, "oracle-")]
    assert len(commands) == 2 and all("train_noisy_elsewhere" in text for text in commands)
    assert sorted("--seed=1000" in text for text in commands) == [False, True]
    printed = capsys.readouterr().out
    assert "label noise open_0.25, noisy clips as if recorded elsewhere" in printed
    monkeypatch.setattr(noisy, "train", None)
    noisy.main(flags)
    assert capsys.readouterr().out in printed


def test_the_oracle_takes_as_many_steps_without_the_clips_that_hold_no_class(tmp_path):
    layout = noisy.Layout("digits", 1, noisy.parse_noise("open_0.5"), tmp_path)
    layout.tables.mkdir()
    for table, n in (
        (layout.tables / "train_curated.csv", 20),
        (layout.noisy_df, 90),
        (layout.oracle_df, 40),
    ):
        pd.DataFrame({"fname": [f"{i}.wav" for i in range(n)]}).to_csv(table, index=False)
    settings = {"epochs": 16, "switch_off_augmentations_on": 14, "n_folds": 2}
    # 16 epochs of 10 + 90 clips are 32 of 10 + 40.
    assert noisy.equal_steps(settings, layout) == {"epochs": 32, "switch_off_augmentations_on": 28}


def test_one_network_learns_from_the_soft_labels_of_the_last_rounds(
    benchmark_flags, tmp_path, tiny, monkeypatch, capsys
):
    teacher = noisy.Method(rounds=("scoring_12",), flags={"cross_fit_noisy": True})
    monkeypatch.setitem(noisy.METHODS, "ours_cross_fit", teacher)
    noisy.main([*benchmark_flags, "--noise", "0.4", "--methods", "distilled"])
    (distilled,), (rounds,) = runs_of(tmp_path, "distilled-"), runs_of(tmp_path, "ours_cross_fit-")
    tables = [pd.read_csv(distilled / f"soft{name}.csv").set_index("fname") for name in ("_0", "_1", "")]
    odds = [table / (1 - table) for table in tables]
    assert np.allclose(odds[0] * odds[1], odds[2] ** 2, rtol=1e-6)  # a mean of logits
    (experiment,) = (distilled / "experiments").iterdir()
    config = json.loads((experiment / "config.json").read_text())["data"]
    assert config["soft_labels"] == str(distilled / "soft.csv") and config["soft_power"] == 2
    results = [json.loads((folder / "result.json").read_text()) for folder in (distilled, rounds)]
    assert results[0]["steps"] > results[1]["steps"] > 0


def test_noise_that_cannot_be_drawn_ends_in_a_line(benchmark_flags, tmp_path, tiny, monkeypatch):
    def refuse(*_):
        raise ValueError("missing_0.4: expected clips with several labels, found none")

    monkeypatch.setattr(real_runs, "draw_noise", refuse)
    with pytest.raises(SystemExit, match="found none; give other --noise, or more clips") as stopped:
        noisy.main([*benchmark_flags, "--noise", "missing_0.4"])
    assert "\n" not in str(stopped.value)


def runs_of(tmp_path, name: str) -> list:
    return sorted((tmp_path / "work/runs").glob(f"*{name}seed_*"))


def test_runs_that_the_noise_does_not_change_are_shared(tmp_path):
    def run(name: str, noise: str, mismatch: bool = False):
        layout = noisy.Layout("digits", 1, noisy.parse_noise(noise), tmp_path, mismatch=mismatch)
        args = noisy.parse_args(["--data_script=x", "--work_dir=w"])
        return noisy.run_of(args, name, layout, 0)

    for name in ("curated", "curated_x2", "oracle", "oracle_x2"):
        assert run(name, "0.4") == run(name, "pairs_0.4") == run(name, "missing_0.2")
        assert run(name, "0.4") != run(name, "open_0.4")
    assert run("curated", "open_0.4") == run("curated", "fsd", True)
    assert run("curated_x2", "0.4") == run("curated_x2", "0.4", True)
    for name in ("oracle", "oracle_x2", "all", "ours", "published_x2"):
        assert run(name, "open_0.4") != run(name, "fsd") != run(name, "fsd", True)
    assert run("all", "0.4") != run("all", "pairs_0.4")


def test_what_a_run_is_called_stays(tmp_path):
    """By its settings: results of earlier versions are found again."""
    args = noisy.parse_args(
        ["--data_script=x", "--work_dir=w", "--epochs=4", "--curated_epochs=40", "--mixup=paste"]
    )
    layout = noisy.Layout("digits", 1, noisy.parse_noise("0.4"), tmp_path)
    names = [noisy.run_of(args, name, layout, 0).folder.name for name in ("curated", "oracle", "ours")]
    assert names == [
        "digits-rotation_1-curated-seed_0-c35c64da",
        "digits-rotation_1-oracle-seed_0-365eef67",
        "digits-rotation_1-noise_0.4-ours-seed_0-44f5942b",
    ]


def test_the_share_recovered_by_hand():
    curated, method, oracle = np.array([0.5, 0.6]), np.array([0.6, 0.7]), np.array([0.7, 0.9])
    share, spread = shares.recovered(curated, method, oracle)
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
        results[rotation, "fsd", 0, "curated"], results[rotation, "fsd", 0, "oracle"] = low, high
    telling, left_out = shares.telling_layouts(results, "fsd", [0])
    assert telling == [1] and len(left_out) == 1 and left_out[0].startswith("rotation 2 is left out")


def test_how_far_ours_is_above_another_method_by_hand():
    scores = {
        "curated_x2": (0.5, 0.5),
        "published_x2": (0.6, 0.7),
        "ours": (0.8, 0.8),
        "oracle_x2": (1.0, 0.9),
    }
    results = {
        (1, "fsd", seed, name): {"lwlrap": pair[seed]} for name, pair in scores.items() for seed in (0, 1)
    }
    sentences = shares.margins("fsd", list(scores), results, [1])
    # (0.2 + 0.1) / (0.5 + 0.4); without either pair 0.1 / 0.4 and 0.2 / 0.5.
    assert sentences == [
        "ours is +66.7% +- 7.5% of the gain above curated_x2, 2 pairs",
        "ours is +33.3% +- 7.5% of the gain above published_x2, 2 pairs",
    ]
