"""Means of experiments over the folds that did not see a clip."""

import numpy as np

from ops.ensembles import mean_of_experiments, seen_by_every_fold


def test_averages_by_hand():
    first = np.array([[[1.0], [2.0], [3.0]], [[3.0], [4.0], [5.0]]])  # folds, clips, classes
    second = np.array([[[10.0], [20.0], [30.0]]])
    usable = [np.array([[1, 0, 0], [1, 1, 0]], bool), np.array([[1, 0, 0]], bool)]
    mean = mean_of_experiments([first, second], usable)
    # Clip 0: (2 + 10) / 2; clip 1: fold 1 of the first alone; clip 2: nobody, so everybody.
    np.testing.assert_allclose(mean, [[6.0], [4.0], [(4 + 30) / 2]])
    assert seen_by_every_fold(usable).tolist() == [False, False, True]
