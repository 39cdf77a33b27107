"""Mistakes with what a Tagger is given: one line each."""

import numpy as np
import pytest

from ops.errors import DataError
from toolkit.prediction.sounds import clips_of
from toolkit.prediction.tagger import Tagger


def test_channels_before_samples_are_told():
    with pytest.raises(DataError, match="found 16000 channels of 2 samples; give its transpose"):
        clips_of(np.zeros((2, 16_000)), 16_000)


@pytest.mark.parametrize("hop", [0, -1, 1e-6, float("nan")])
def test_a_hop_that_is_no_time_is_refused(hop):
    with pytest.raises(DataError, match="hop_seconds: expected at least 0.01"):
        Tagger([], [], None).time([], 1.0, hop)


def test_a_gpu_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DataError, match="expected a GPU for 'cuda', found none"):
        Tagger.load("experiments/x", device="cuda")
