"""The jobs of the benchmark of augmentation run on this machine."""

import augmentation
import pytest
import torch
from augmentation import Epoch
from inputs import SharedClips

CPU = torch.device("cpu")


def test_augmented_training_runs_on_this_machine_as_well(tmp_path):
    """The GPU's row, two tiny batches; its parts are those of an epoch."""
    epoch = Epoch(depth=4, n_clips=4, batch_size=2, max_seconds=0.5)
    job = augmentation.augmented_training(epoch, "torch")(CPU, SharedClips(tmp_path))
    job(0)
    spent = job.parts(1)
    assert list(spent) == ["waiting for clips", "moving and augmenting", "training step"]
    assert all(spent.values())


def test_the_plain_way_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for setup in (augmentation.effects("sox", 1, 1), augmentation.augmented_training(Epoch(4, 4, 2), "sox")):
        with pytest.raises(RuntimeError, match="needs the SoX binary"):
            setup(CPU, SharedClips(tmp_path))


def test_effects_job_changes_all_clips_in_any_batches(monkeypatch):
    asked = []
    monkeypatch.setattr(augmentation, "apply_effects", lambda *given: asked.append(given))
    augmentation.effects("torch", 5, 2)(CPU, None)(3)
    augmentation.effects("torch", 5, 5)(CPU, None)(3)
    parts, whole = asked[:3], asked[3]
    assert torch.cat([signal for signal, _, _ in parts]).equal(whole[0])
    assert [draw for _, _, draws in parts for draw in draws] == whole[2]
