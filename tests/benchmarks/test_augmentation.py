"""The jobs of the benchmark of augmentation run on this machine."""

import shutil

import augmentation
import torch


def test_augmented_training_runs_on_this_machine_as_well():
    """The GPU's row, two tiny batches."""
    job = augmentation.augmented_training(4, 4, 2, 0, "torch")(torch.device("cpu"))
    assert job.folder.is_dir()
    try:
        job(0)
    finally:
        shutil.rmtree(job.folder)


def test_effects_job_changes_all_clips_in_any_batches(monkeypatch):
    asked = []
    monkeypatch.setattr(augmentation, "apply_effects", lambda *given: asked.append(given))
    augmentation.effects("torch", 5, 2)(torch.device("cpu"))(3)
    augmentation.effects("torch", 5, 5)(torch.device("cpu"))(3)
    parts, whole = asked[:3], asked[3]
    assert torch.cat([signal for signal, _, _ in parts]).equal(whole[0])
    assert [draw for _, _, draws in parts for draw in draws] == whole[2]
