"""Clips as if recorded elsewhere: a band, rooms of energy 1, a codec that keeps lengths."""

import elsewhere
import numpy as np
import pytest
import soundfile

RATE = 44100


def tone(hz: float, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


@pytest.mark.parametrize("hz, low, high", [(40, 0, 0.1), (800, 0.95, 1.05), (12000, 0, 0.12)])
def test_the_band_keeps_its_middle(hz, low, high):
    kept = elsewhere.band(tone(hz), RATE)[8000:].std() / tone(hz).std()
    assert low <= kept <= high


def test_a_room_has_energy_1_and_falls_by_60_db():
    response = elsewhere.room_response(0.4, RATE, np.random.default_rng(0))
    assert (response**2).sum() == pytest.approx(1) and response[0] == pytest.approx(np.sqrt(0.5))
    early, late = (np.sqrt((response[at : at + 2000] ** 2).mean()) for at in (1, len(response) - 2000))
    # Windows whose middles lie 0.4 s less 2,000 samples apart.
    assert 20 * np.log10(early / late) == pytest.approx(60 * (0.4 * RATE - 2000) / (0.4 * RATE), abs=1)


@pytest.mark.parametrize("n_samples", [1, 700, 44100])
def test_lengths_and_silence_stay(n_samples):
    noise = np.random.default_rng(1).uniform(-0.9, 0.9, n_samples)
    heard = elsewhere.play_elsewhere(noise, RATE, np.random.default_rng(2))
    assert heard.shape == noise.shape and np.abs(heard).max() <= 1
    assert not elsewhere.play_elsewhere(np.zeros(n_samples), RATE, np.random.default_rng(2)).any()


def test_a_folder_elsewhere_is_the_same_for_the_same_seed_and_has_a_room_a_clip(tmp_path):
    source = tmp_path / "here"
    source.mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(source / name, tone(500, 0.2), RATE, subtype="PCM_16")
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        elsewhere.copy_elsewhere(source, tmp_path / name, seed)
    content = {
        p: [(tmp_path / p / f).read_bytes() for f in ("a.wav", "b.wav")] for p in ("one", "same", "other")
    }
    assert content["one"] == content["same"]
    assert len({*content["one"], *content["other"], (source / "a.wav").read_bytes()}) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"here", "one", "same", "other"}
