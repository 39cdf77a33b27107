"""run_noisy_rounds.py: what else than the rounds' own networks says which labels are right."""

import pandas as pd

import run_noisy_rounds


def test_a_round_on_all_labels_as_they_are_is_weighed_beside_the_curated_one(toy, rounds_flags, tmp_path):
    """Each clip is scored by the fold that did not train on it, and both tables enter the next fit."""
    folder, table = tmp_path / "r", toy.folder / "train_noisy.csv"
    run_noisy_rounds.main(rounds_flags(folder, ["given", "soft_1"]))
    given = pd.read_csv(folder / "tables/round_1.csv")
    pd.testing.assert_frame_equal(given, pd.read_csv(table)[list(given)])
    (experiment,) = (folder / "experiments").glob("round_1-*")
    seen = pd.read_csv(experiment / "noisy_folds.csv", dtype=str)
    assert set(seen["fname"]) == set(given["fname"]) and set(seen["folds"]) == {"0", "1"}
