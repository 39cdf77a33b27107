"""Silences and windows: exact edges, laws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ops.activity import FRAME_SAMPLES, MAX_STRETCH, frame_levels, sounding_spans, windows_of


def test_levels_by_hand():
    audio = np.concatenate([np.full(FRAME_SAMPLES, 0.1), np.zeros(FRAME_SAMPLES), np.full(10, 1.0)])
    np.testing.assert_allclose(frame_levels(audio.astype(np.float32)), [-20, -200, 0], atol=1e-4)
    assert frame_levels(np.empty(0)).shape == (0,)


def test_long_silences_are_left_out_and_short_ones_stay():
    levels = np.full(100, -90.0)
    levels[[20, 25, 70]] = -10
    spans = sounding_spans(levels, 100 * FRAME_SAMPLES - 5, -60, 0.2)  # 10 frames
    assert spans == [(20 * FRAME_SAMPLES, 26 * FRAME_SAMPLES), (70 * FRAME_SAMPLES, 71 * FRAME_SAMPLES)]
    assert sounding_spans(levels, 100 * FRAME_SAMPLES, -5, 0.2) == []
    levels[[5, 95]] = -10  # near both ends: the silence there is short
    spans = sounding_spans(levels, 100 * FRAME_SAMPLES - 5, -60, 0.2)
    assert spans[0][0] == 0 and spans[-1][1] == 100 * FRAME_SAMPLES - 5


def test_what_is_hardly_longer_than_a_window_is_one():
    assert windows_of((7, 7 + 150), 100, 50) == [(7, 157)]
    assert windows_of((0, 200), 100, 50) == [(0, 100), (50, 150), (100, 200)]


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(10, 10**4), st.integers(1, 10**4))
def test_windows_cover_their_span(start, length, window, hop):
    hop = min(hop, window)
    windows = windows_of((start, start + length), window, hop)
    assert windows[0][0] == start and windows[-1][1] == start + length
    if length <= MAX_STRETCH * window:
        assert len(windows) == 1
        return
    firsts = np.array([first for first, _ in windows])
    assert {end - first for first, end in windows} == {window}
    assert 0 < np.diff(firsts).min() and np.diff(firsts).max() <= hop + 1


@given(st.lists(st.floats(-100, 0), min_size=1, max_size=80), st.floats(0.0, 0.5))
def test_every_loud_frame_is_in_a_span(levels, gap):
    n_samples = len(levels) * FRAME_SAMPLES - 3
    spans = sounding_spans(np.array(levels), n_samples, -50, gap)
    covered = np.zeros(n_samples, bool)
    for start, end in spans:
        assert 0 <= start < end <= n_samples and not covered[start:end].any()
        covered[start:end] = True
    for frame, level in enumerate(levels):
        if level > -50:
            assert covered[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES].all()
