"""Windows of clips for an exported backbone: those of training, for clips of any length and rate."""

import numpy as np
import pytest
import torch
from torchaudio.transforms import Resample

from networks.export_embeddings import ClipWindows
from ops.embeddings import window_starts


@pytest.mark.parametrize("rate", [44100, 8000])
@pytest.mark.parametrize("n_samples", [1, 30, 400, 3000])
def test_windows_are_those_of_training(rate, n_samples):
    clips = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, n_samples)).astype(np.float32))
    windows, starts = ClipWindows(rate, 20, 7, 25)(clips)
    own = Resample(44100, rate)(clips)
    own = torch.nn.functional.pad(own, (0, max(0, 25 - own.shape[1])))
    expected = window_starts(own.shape[1], 20, 7)
    assert starts.tolist() == [expected] * 2
    cut = torch.stack([clip[start : start + 20] for clip in own for start in expected])
    torch.testing.assert_close(windows, cut, atol=1e-6, rtol=0)


def test_a_clip_shorter_than_a_window_is_one():
    windows, starts = ClipWindows(44100, 9, 3, 2)(torch.ones(1, 4))
    assert windows.tolist() == [[1.0] * 4 + [0.0] * 5] and starts.tolist() == [[0.0]]
