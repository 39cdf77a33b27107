"""run_noisy_rounds.py: the rounds by hand, what each of them is given, and what users do wrong."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import label_ranking_average_precision_score

import blend_predictions
import predict_2d_cnn
import relabel_noisy_data
import run_noisy_rounds
import train_2d_cnn
from ops.errors import DataError
from real_processes import lasting, outcome_of_rounds


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


def test_rounds_added_after_a_shared_last_one_train_that_one_again(rounds_flags, tmp_path, capsys):
    def states(modes: list[str]) -> list[str]:
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", modes, "--share_last_rounds=1", "--dry_run"))
        lines = capsys.readouterr().out.splitlines()[1 : len(modes) + 2]
        return ["done" if line.rstrip().endswith("done") else "to do" for line in lines]

    two = ["scoring_6", "scoring_8"]
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", two, "--share_last_rounds=1"))
    first = (tmp_path / "r/rounds.csv").read_text().splitlines()
    capsys.readouterr()
    assert states(two) == ["done"] * 3
    assert states([*two, "scoring_16"]) == ["done", "done", "to do", "to do"]
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", [*two, "scoring_16"], "--share_last_rounds=1"))
    capsys.readouterr()
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
    first = outcome_of_rounds(tmp_path / "r")
    capsys.readouterr()
    run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6", "quota_8"], **one))
    assert capsys.readouterr().out.count("epoch 0:") == 2  # two folds of the new round alone
    second = outcome_of_rounds(tmp_path / "r")
    assert all(second[name] == first[name] for name in first if name not in ("rounds.csv", "plan.json"))
    assert second["rounds.csv"].startswith(first["rounds.csv"])
    config = json.loads(next((tmp_path / "r/experiments").glob("round_1-*/config.json")).read_text())
    assert config["network"]["kind"] == "1d"
    with pytest.raises(DataError, match="plan.json: differs from this command in modes"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_7"], **one))
    with pytest.raises(DataError, match=r"differs from this command in epochs \(1 there, 2 here\)"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_6", "quota_8"], epochs=2, **one))


def test_what_later_rounds_would_stumble_over_is_told_first(toy, rounds_flags, tmp_path):
    table = tmp_path / "noisy.csv"
    table.write_text("fname,labels\nnone.wav,Bell\n")
    with pytest.raises(DataError, match="none.wav"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_2"], noisy_train_df=table))
    truth = tmp_path / "truth.csv"
    truth.write_text("fname,labels\nother.wav,Bell\n")
    with pytest.raises(DataError, match="expected the true labels of every noisy clip"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_2"], f"--noisy_truth_df={truth}"))
    with pytest.raises(DataError, match="scoring_1: expected at least 2 clips, one for each fold"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_1"]))
    assert not list(tmp_path.glob("r/*"))


def test_a_mode_that_keeps_nothing_ends_the_rounds_in_one_line(toy, rounds_flags, tmp_path):
    folder = tmp_path / "noisy"
    folder.mkdir()
    soundfile.write(folder / "n.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 9000), 44100)
    (tmp_path / "noisy.csv").write_text("fname,labels\nn.wav,\n")
    tables = {"noisy_train_df": tmp_path / "noisy.csv", "noisy_train_data_dir": folder}
    with pytest.raises(DataError, match="round 1: soft_1 keeps none of the 1 noisy clips"):
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["soft_1"], **tables))


def test_some_of_the_folds_alone(toy, rounds_flags, tmp_path, capsys):
    test = {"sample_submission": toy.folder / "sample_submission.csv", "test_data_dir": toy.folder / "test"}
    argv = rounds_flags(tmp_path / "r", ["scoring_6"], "--warm_start", "--folds", "0", **test)
    run_noisy_rounds.main(argv)
    out = capsys.readouterr().out
    assert "folds 1 (these rounds train folds 0 alone, not 1)" in out and "--resume" not in out
    assert f"no {tmp_path / 'r/submission.csv'}: it needs the test predictions of all folds" in out
    with pytest.raises(SystemExit):
        run_noisy_rounds.main([*argv, "--blend_rounds=2"])
    assert "--blend_rounds takes test predictions of all folds" in capsys.readouterr().err


@pytest.mark.parametrize(
    "extra, changed, expected",
    [
        ([], {"noisy_train_df": None, "noisy_train_data_dir": None}, "give --noisy_train_df"),
        (["--no_frequency_encoding"], {"network": "1d"}, "--network 2d"),
        (["--resume"], {}, "--resume"),
        (["--experiments_dir=x"], {}, "--experiments_dir"),
        (["--later_epochs=0"], {}, "at least 1"),
        (["--blend_rounds=2"], {}, "give --sample_submission and --test_data_dir, or leave it out"),
        (["--blend_rounds=3"], {}, "expected at most 2, round 0 and those of --rounds, got 3"),
        (["--folds", "2"], {}, "expected 0 to 1"),
        (["--share_last_rounds=2"], {}, "expected at most 1, the rounds of --rounds, got 2"),
        (["--share_last_rounds=1", "--share_noisy"], {}, "leave out it or --share_last_rounds"),
    ],
)
def test_usage(rounds_flags, tmp_path, capsys, extra, changed, expected):
    with pytest.raises(SystemExit) as stopped:
        run_noisy_rounds.main(rounds_flags(tmp_path / "r", ["scoring_1"], *extra, **changed))
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and expected in error
