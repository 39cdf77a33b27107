"""How far predictions in one precision are from those in another."""

import numpy as np
from precision import table


def test_largest_differences_and_scores():
    truth = np.array([[1, 0], [0, 1]])
    reference = np.array([[2.0, 0.0], [0.0, 1.0]])
    other = np.array([[2.0, 0.0], [0.0, -1.0]])
    _, _, first, second = table(truth, {"float32": reference, "rough": other}).splitlines()
    assert first == "| float32 | 0.0e+00 | 0.0e+00 | 1.0000 |"
    # sigmoid(1) - sigmoid(-1) = 0.462; the second clip's label is now the second of two
    assert second == "| rough | 4.6e-01 | 2.0e+00 | 0.7500 |"
