"""run_noisy_rounds.py: what else than the rounds' own networks says which labels are right."""

import numpy as np
import pandas as pd
import pytest

import predict_2d_cnn
import relabel_noisy_data
import run_noisy_rounds
from command_lines import usage_error
from ops.errors import DataError
from real_processes import lasting
from toolkit.runs.predictions import Predictions, write_predictions
from toy_data import CLASSES


@pytest.fixture
def votes(toy, tmp_path):
    """A table of another network's predictions of the noisy clips."""
    fnames = pd.read_csv(toy.folder / "train_noisy.csv")["fname"].tolist()
    rng = np.random.default_rng(0)
    write_predictions(tmp_path / "v.csv", Predictions(fnames, CLASSES, rng.uniform(0.1, 0.9, (16, 8))))
    return tmp_path / "v.csv"


def test_given_labels_neighbours_and_votes_from_outside_enter_the_fit(toy, rounds_flags, votes, tmp_path):
    """By hand the same; a clip is scored by the fold that did not train on it; what is there stays."""
    folder, table = tmp_path / "r", toy.folder / "train_noisy.csv"
    argv = rounds_flags(folder, ["given", "consensus_9"], "--share_last_rounds=1")
    argv += [f"--votes={votes}", "--neighbours=3"]
    run_noisy_rounds.main(argv)
    given = pd.read_csv(folder / "tables/round_1.csv")
    pd.testing.assert_frame_equal(given, pd.read_csv(table)[list(given)])
    experiments = [next((folder / "experiments").glob(f"round_{number}-*")) for number in (0, 1)]
    seen = pd.read_csv(experiments[1] / "noisy_folds.csv", dtype=str)
    assert set(seen["fname"]) == set(given["fname"]) and set(seen["folds"]) == {"0", "1"}
    predictions = [folder / f"predictions/round_{number}.csv" for number in (0, 1)]
    neighbours = [folder / f"predictions/round_{number}.neighbours.csv" for number in (0, 1)]
    for experiment, path in zip(experiments, neighbours, strict=True):
        predict_2d_cnn.main(
            [f"--experiment={experiment}", f"--test_df={table}", f"--classmap={toy.classmap}"]
            + [f"--test_data_dir={toy.folder / 'train_noisy'}", f"--output_df={tmp_path / 'n.csv'}"]
            + ["--out_of_fold", "--neighbours=3", "--num_workers=0", "--device=cpu", "--batch_size=4"]
        )
        assert (tmp_path / "n.csv").read_text() == path.read_text()
    found = pd.read_csv(neighbours[1]).set_index("fname")[CLASSES]
    # In one fold's network: v of 3 votes are (v + 1/2) / 4; in round 0 the mean of two.
    assert set((found * 4 - 0.5).round(9).stack()) <= {0, 1, 2, 3}
    by_hand = [f"--noisy_df={table}", f"--output_df={tmp_path / 'by_hand.csv'}", "--mode=consensus_9"]
    relabel_noisy_data.main(
        [*by_hand, "--noisy_predictions_df", *map(str, [*predictions, *neighbours, votes])]
    )
    assert (tmp_path / "by_hand.csv").read_text() == (folder / "tables/round_2.csv").read_text()
    before = lasting(folder)
    run_noisy_rounds.main(argv)
    assert lasting(folder) == before
    for changed in (argv[:-1], [*argv, "--neighbours=4"]):
        with pytest.raises(DataError, match=r"differs from this command in neighbours \("):
            run_noisy_rounds.main(changed)
    # Killed before the neighbours voted, the rounds end alike.
    for path in (neighbours[1], folder / "tables/round_2.csv", folder / "rounds.csv"):
        path.rename(tmp_path / path.name)
    run_noisy_rounds.main(argv)
    for path in (neighbours[1], folder / "tables/round_2.csv", folder / "rounds.csv"):
        assert path.read_text() == (tmp_path / path.name).read_text()
    votes.write_text(votes.read_text().replace("0.5", "0.4"))
    with pytest.raises(DataError, match=r"differs from this command in votes \(.*v.csv [0-9a-f]{16} there"):
        run_noisy_rounds.main(argv)


def test_votes_that_do_not_fit_are_refused_before_anything_is_trained(rounds_flags, votes, tmp_path, capsys):
    argv = rounds_flags(tmp_path / "r", ["trust_0.9"], f"--votes={votes}", "--dry_run")
    run_noisy_rounds.main(argv)
    text = votes.read_text()
    for other, expected in (
        (text.replace("Bell", "Gong"), "v.csv: expected the classes of .* found 'Bell' in one of the two"),
        (text.replace("fname", "Gong,fname").replace(",n", ",0.5,n"), "v.csv: expected"),
        ("\n".join(text.splitlines()[:-1]), "v.csv: expected a prediction of every clip, found none of"),
    ):
        votes.write_text(other)
        with pytest.raises(DataError, match=expected):
            run_noisy_rounds.main(argv)
    votes.unlink()
    with pytest.raises(DataError, match="v.csv: "):
        run_noisy_rounds.main(argv)
    for flag in ("--neighbours=3", f"--votes={votes}"):
        error = usage_error(capsys, run_noisy_rounds.main, rounds_flags(tmp_path / "r", ["scoring_6"], flag))
        assert f"{flag.partition('=')[0]} is weighed by trust and correct" in error
    inputs = ["--experiment=x", f"--inputs={tmp_path}", "--neighbours=3"]
    assert "--neighbours compares the whole clips" in usage_error(capsys, predict_2d_cnn.parse_args, inputs)
