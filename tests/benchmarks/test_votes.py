"""What tables of predictions tell about wrong labels, on clips whose wrong labels are known."""

import numpy as np
import pandas as pd
import votes

CLASSES = ["a", "b", "c", "d"]


def test_tables_alone_and_together(tmp_path, capsys):
    rng = np.random.default_rng(0)
    truth, n_wrong = np.repeat(np.arange(4), 25), 30
    given = truth.copy()
    given[:n_wrong] = (truth[:n_wrong] + 1) % 4
    fnames = [f"{number}.wav" for number in range(100)]
    for name, classes in (("given", given), ("truth", truth)):
        labels = [CLASSES[index] for index in classes]
        pd.DataFrame({"fname": fnames, "labels": labels}).to_csv(tmp_path / f"{name}.csv", index=False)
    paths = {"knows": np.eye(4)[truth] * 0.98 + 0.005, "guesses": rng.uniform(0.4, 0.6, (100, 4))}
    for name, scores in paths.items():
        table = pd.DataFrame(scores, columns=CLASSES)
        table.insert(0, "fname", fnames)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    argv = [
        f"--noisy_df={tmp_path / 'given.csv'}",
        f"--truth_df={tmp_path / 'truth.csv'}",
        "--predictions_df",
    ]
    votes.main([*argv, *(str(tmp_path / f"{name}.csv") for name in paths)])
    _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    found = {name: cells for name, *cells in rows}
    # e has a prior of two more labels, one of them wrong.
    assert found["knows"] == ["0.304", "0.300", "1.000", "70", "1.000", "1.000"] == found["all"]
    e, wrong, auroc, n_kept, right, corrected = found["guesses"]
    assert (e, wrong, n_kept, right) == ("nan", "0.300", "0", "nan")
    assert corrected == "0.700"  # nothing is changed
    assert 0.3 < float(auroc) < 0.7
