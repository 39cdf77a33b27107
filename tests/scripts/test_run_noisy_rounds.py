"""run_noisy_rounds.py: the rounds by hand, killed at any moment, and what each of them is given."""

import json
import os
import random
import re
import signal
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import label_ranking_average_precision_score

import blend_predictions
import predict_2d_cnn
import relabel_noisy_data
import run_noisy_rounds
import train_2d_cnn
from ops.errors import DataError
from real_processes import lasting
from toolkit.rounds.report import label_quality


def test_two_rounds_are_the_loop_by_hand(toy, rounds_flags, training_flags, tmp_path, capsys):
    truth = toy.folder / "train_noisy_truth.csv"
    run_noisy_rounds.main(
        rounds_flags(
            tmp_path / "rounds",
            ["scoring_6", "relabelall-merge_1.2"],
            "--calibrate",
            f"--noisy_truth_df={truth}",
            epochs=3,
            seed=1,
        )
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == str(tmp_path / "rounds/rounds.csv") and printed[-5].startswith("round  mode")
    rows = pd.read_csv(tmp_path / "rounds/rounds.csv", keep_default_na=False)
    assert rows["mode"].tolist() == ["", "scoring_6", "relabelall-merge_1.2"]
    assert rows["noisy_clips"].tolist() == [0, 6, 16]

    noisy = ["--noisy_train_df", "", f"--noisy_train_data_dir={toy.folder / 'train_noisy'}"]
    paths = [toy.folder / "train_noisy.csv"]
    for number in range(3):
        extra = [f"--label=round_{number}"]
        if number:
            noisy[1] = str(tmp_path / f"rounds/tables/round_{number}.csv")
            assert open(noisy[1]).read() == paths[-1].read_text()
            extra += noisy
        train_2d_cnn.main(training_flags(*extra, epochs=3, seed=1))
        (experiment,) = (tmp_path / "experiments").glob(f"round_{number}-*")
        assert rows["experiment"][number] == experiment.name
        metric = json.loads((experiment / "results.json").read_text())["metric"]
        assert float(rows["out_of_fold_lwlrap"][number]) == pytest.approx(metric)
        if number == 2:
            break
        predicted = tmp_path / "predicted.csv"
        predict_2d_cnn.main(
            [f"--experiment={experiment}", f"--test_df={toy.folder / 'train_noisy.csv'}", "--out_of_fold"]
            + [f"--test_data_dir={toy.folder / 'train_noisy'}", f"--classmap={toy.classmap}"]
            + [f"--output_df={predicted}", "--num_workers=0", "--device=cpu", "--batch_size=4"]
        )
        found = (tmp_path / f"rounds/predictions/round_{number}.csv").read_text()
        assert found == predicted.read_text()
        paths.append(tmp_path / f"relabeled_{number}.csv")
        relabel_noisy_data.main(
            [f"--noisy_df={paths[0]}", f"--noisy_predictions_df={predicted}", f"--output_df={paths[-1]}"]
            + [f"--mode={rows['mode'][number + 1]}", "--calibrate", f"--experiment={experiment}"]
        )
    kept = pd.read_csv(paths[1]).set_index("fname")["labels"]
    right = sum(
        set(kept[f].split(",")) == set(row.split(",")) for f, row in true_labels(truth) if f in kept.index
    )
    assert float(rows["kept_precision"][1]) == pytest.approx(right / 6)
    assert float(rows["kept_recall"][1]) == pytest.approx(right / 16)


def true_labels(path):
    frame = pd.read_csv(path)
    return zip(frame["fname"], frame["labels"], strict=True)


def outcome(folder) -> dict[str, bytes]:
    """Bytes of every table, prediction and result of the rounds, by their paths."""
    patterns = ("rounds.csv", "plan.json", "tables/*", "predictions/*", "experiments/*/predictions/*.csv",
                "experiments/*/results.json", "experiments/*/noisy_folds.csv")  # fmt: skip
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in patterns
        for path in folder.glob(pattern)
    }


@pytest.mark.slow
def test_rounds_killed_at_any_moment_end_like_rounds_never_killed(zygote, rounds_flags, tmp_path):
    """At random times, and within random writes; warm start, history and weights included."""
    argv = rounds_flags("rounds", ["soft_1", "consensus_9"], "--warm_start", "--share_last_rounds=1",
                 holdout_size=0.2)  # fmt: skip
    started = time.monotonic()
    for name in ("reference", "killed"):
        (tmp_path / name).mkdir()
    reference = {"script": "run_noisy_rounds", "cwd": str(tmp_path / "reference")}
    assert zygote.run(argv, **reference) == 0, zygote.output()
    duration = time.monotonic() - started
    expected = outcome(tmp_path / "reference/rounds")
    assert len(expected) == 2 + 2 + 2 + 3 * 5 + 2
    where = {"script": "run_noisy_rounds", "cwd": str(tmp_path / "killed")}
    generator = random.Random(0)
    kills = 0
    for _ in range(200):
        at_write = kills % 2 == 1 and kills < 12
        pid = zygote.start(argv, kill_at_write=generator.randint(4, 40) if at_write else None, **where)
        if not at_write and kills < 12:
            time.sleep(generator.uniform(0.05, 0.35) * duration)
            os.kill(pid, signal.SIGKILL)
        status = zygote.wait(pid)
        if status == 0:
            break
        assert status == -signal.SIGKILL, zygote.output()
        kills += 1
    assert status == 0 and kills >= 4
    assert outcome(tmp_path / "killed/rounds") == expected
    assert not list((tmp_path / "killed").rglob("*.tmp"))
    # Once more: nothing is left to do, and nothing changes.
    assert zygote.run(argv, **where) == 0
    assert "epoch 0:" not in zygote.output() and outcome(tmp_path / "killed/rounds") == expected


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


def test_rounds_added_after_a_shared_last_one_train_that_one_again(rounds_flags, tmp_path, capsys):
    def states(modes: list[str]) -> list[str]:
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", modes, "--share_last_rounds=1", "--dry_run"))
        lines = capsys.readouterr().out.splitlines()[1 : len(modes) + 2]
        return ["done" if line.rstrip().endswith("done") else "to do" for line in lines]

    two = ["scoring_6", "scoring_8"]
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", two, "--share_last_rounds=1"))
    first = (tmp_path / "r/rounds.csv").read_text().splitlines()
    assert "is trained again" not in capsys.readouterr().out
    assert states(two) == ["done"] * 3
    assert states([*two, "scoring_16"]) == ["done", "done", "to do", "to do"]
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", [*two, "scoring_16"], "--share_last_rounds=1"))
    assert "round 2 was the last" in capsys.readouterr().out
    second = (tmp_path / "r/rounds.csv").read_text().splitlines()
    assert second[:3] == first[:3] and len(second) == 5
    assert second[3].split(",")[2] != first[3].split(",")[2]  # another experiment
    assert states([*two, "scoring_16"]) == ["done"] * 4


def test_last_rounds_that_share_choose_by_the_predictions_before_them(toy, rounds_flags, tmp_path, capsys):
    """And the submission blends them; they stay what they are once one of them is trained."""
    test = {"sample_submission": toy.folder / "sample_submission.csv", "test_data_dir": toy.folder / "test"}
    modes = ["relabelall_1", "consensus_9", "relabelall_2"]
    argv = rounds_flags(tmp_path / "r", modes, "--share_last_rounds=2", "--blend_rounds=2", **test)
    run_noisy_rounds.main([*argv, "--dry_run"])
    lines = capsys.readouterr().out.splitlines()[1:5]
    assert [re.split(" {2,}", line)[4].partition(" noisy")[0] for line in lines] == [
        "predict 16", "predict 16", "the next", "the end"]  # fmt: skip
    run_noisy_rounds.main(argv)
    folder = tmp_path / "r"
    assert sorted(path.name for path in (folder / "predictions").iterdir()) == ["round_0.csv", "round_1.csv"]
    predictions = [folder / f"predictions/round_{k}.csv" for k in (0, 1)]
    for number, given in ((2, predictions), (3, predictions[1:])):
        relabel_noisy_data.main(
            [f"--noisy_df={toy.folder / 'train_noisy.csv'}", f"--mode={modes[number - 1]}"]
            + ["--noisy_predictions_df", *map(str, given), f"--output_df={tmp_path / 'by_hand.csv'}"]
        )
        assert (tmp_path / "by_hand.csv").read_text() == (folder / f"tables/round_{number}.csv").read_text()
        (experiment,) = (folder / "experiments").glob(f"round_{number}-*")
        folds = pd.read_csv(experiment / "noisy_folds.csv", dtype=str)["folds"]
        assert set(folds) == {"0,1"}
    last = [str(next((folder / "experiments").glob(f"round_{k}-*"))) for k in (2, 3)]
    blend_predictions.main(
        [f"--output_df={tmp_path / 'blend.csv'}", "--method=logit", "--predictions", *last]
    )
    assert (tmp_path / "blend.csv").read_text() == (folder / "submission.csv").read_text()
    before = lasting(folder)
    with pytest.raises(DataError, match="differs from this command in modes"):
        run_noisy_rounds.main(
            rounds_flags(
                folder, [*modes, "relabelall_1"], "--share_last_rounds=2", "--blend_rounds=2", **test
            )
        )
    run_noisy_rounds.main(argv)
    assert lasting(folder) == before


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


def test_the_last_rounds_are_blended(toy, rounds_flags, tmp_path, capsys):
    """Test predictions as blend_predictions.py does it, and what the same blend scores out of fold."""
    test = [
        f"--test_data_dir={toy.folder / 'test'}",
        f"--sample_submission={toy.folder / 'sample_submission.csv'}",
    ]
    argv = rounds_flags(tmp_path / "r", ["scoring_6", "soft_1"], *test)
    run_noisy_rounds.main([*argv, "--blend_rounds=2"])
    submission = tmp_path / "r/submission.csv"
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{submission}: ")]
    last = [str(next((tmp_path / "r/experiments").glob(f"round_{number}-*"))) for number in (1, 2)]
    blend_predictions.main(
        [f"--output_df={tmp_path / 'blend.csv'}", "--method=logit", "--predictions", *last]
    )
    assert submission.read_text() == (tmp_path / "blend.csv").read_text()

    tables = [
        pd.concat(pd.read_csv(f"{path}/predictions/val_preds_fold_{fold}.csv") for fold in (0, 1))
        for path in last
    ]
    frame = pd.read_csv(toy.folder / "train_curated.csv").set_index("fname")["labels"]
    classes = [name for name in tables[0].columns if name != "fname"]
    truth = [[name in frame[fname].split(",") for name in classes] for fname in tables[0]["fname"]]
    odds = [table.set_index("fname")[classes].map(lambda p: np.log(p / (1 - p))) for table in tables]
    total = (odds[0] + odds[1].loc[odds[0].index]).to_numpy()
    weights = np.sum(truth, axis=1)
    expected = label_ranking_average_precision_score(truth, total, sample_weight=weights)
    assert note.endswith(f"test predictions of round_1, round_2; out-of-fold lwlrap {expected:.4f}")

    run_noisy_rounds.main([*argv, "--blend_rounds=1"])
    assert "epoch 0:" not in capsys.readouterr().out
    with open(f"{last[1]}/predictions/submission.csv") as single:
        assert submission.read_text() == single.read()


def test_the_1d_network_and_further_rounds_at_the_end(rounds_flags, tmp_path, capsys):
    one = {"network": "1d", "num_conv_blocks": 1, "conv_base_depth": 3}
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6"], **one))
    first = outcome(tmp_path / "r")
    capsys.readouterr()
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6", "quota_8"], **one))
    assert capsys.readouterr().out.count("epoch 0:") == 2  # two folds of the new round alone
    second = outcome(tmp_path / "r")
    assert all(second[name] == first[name] for name in first if name not in ("rounds.csv", "plan.json"))
    assert second["rounds.csv"].startswith(first["rounds.csv"])
    config = json.loads(next((tmp_path / "r/experiments").glob("round_1-*/config.json")).read_text())
    assert config["network"]["kind"] == "1d"
    with pytest.raises(DataError, match="plan.json: differs from this command in modes"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_7"], **one))
    with pytest.raises(DataError, match=r"differs from this command in epochs \(1 there, 2 here\)"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6", "quota_8"], epochs=2, **one))


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


def test_quality_by_hand():
    truth = {"a": frozenset("X"), "b": frozenset("XY"), "c": frozenset("Y"), "d": frozenset("Z")}
    kept = {"a": frozenset("X"), "b": frozenset("Y"), "c": frozenset("XZ")}
    assert label_quality(kept, truth, "t.csv") == {
        "kept_precision": 1 / 3,
        "kept_recall": 1 / 4,
        "label_precision": 2 / 4,
        "label_recall": 2 / 5,
    }
    assert set(label_quality({}, truth, "t.csv").values()) == {None}
