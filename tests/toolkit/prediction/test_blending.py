"""Tables of predictions are stacked by names."""

import numpy as np

from toolkit.prediction.blending import stacked
from toolkit.runs.predictions import Predictions


def test_tables_are_joined_by_names():
    first = Predictions(["a", "b"], ["X", "Y"], np.array([[0.1, 0.2], [0.3, 0.4]]))
    second = Predictions(["b", "a"], ["Y", "X"], np.array([[0.5, 0.6], [0.7, 0.8]]))
    np.testing.assert_array_equal(stacked([first, second], ["1", "2"])[1], [[0.8, 0.7], [0.6, 0.5]])
