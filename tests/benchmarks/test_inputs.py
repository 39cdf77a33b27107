"""What the jobs of the benchmarks work on."""

import soundfile
import torch
from inputs import SharedClips, network, predicting_network

CPU = torch.device("cpu")


def test_clips_are_written_once_for_all(tmp_path):
    clips = SharedClips(tmp_path)
    few = clips.names(2, max_seconds=1)
    written = [(tmp_path / name).stat().st_mtime_ns for name in few]
    more = clips.names(4, max_seconds=1)
    assert more[:2] == few and len(list(tmp_path.iterdir())) == 4
    assert [(tmp_path / name).stat().st_mtime_ns for name in few] == written
    assert all(0.3 <= soundfile.info(tmp_path / name).duration <= 1 for name in more)
    assert [clip.n_samples for clip in clips.labelled(2)] == [
        soundfile.info(tmp_path / name).frames for name in clips.names(2)
    ]


def test_the_plain_network_stays_as_it_was_built(monkeypatch):
    """What Runtime does to networks on a device is part of our way."""
    accelerated = []
    monkeypatch.setattr("inputs.accelerate", lambda model, runtime: accelerated.append(runtime.amp))
    for make in (network, predicting_network):
        make("2d", 2, CPU, plain=True)
        make("2d", 2, CPU, amp=True)
    assert accelerated == [True, True]
