"""What the benchmarks compare computes the same; else their ratios would mean nothing."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from networks.classifiers import NetworkConfig, build_classifier
from ops.clip_checks import probe_clips
from ops.datasets import Clip, evaluation_loader
from ops.losses import lsep_loss
from ops.training import predict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import augmentation  # noqa: E402
import plain  # noqa: E402


def test_pairwise_lsep_is_lsep():
    logits = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    targets = (torch.rand(6, 9, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    torch.testing.assert_close(plain.pairwise_lsep(logits, targets), lsep_loss(logits, targets))


@pytest.mark.parametrize("kind, features", [("2d", "mel_1024_512_32"), ("1d", "stft_256_128")])
def test_plain_prediction_of_all_folds_is_ours(tmp_path, kind, features):
    names = [f"{number}.wav" for number in range(7)]
    for number, name in enumerate(names):
        values = np.random.default_rng(number).uniform(-0.5, 0.5, 4000 + 5000 * (number % 4))
        soundfile.write(tmp_path / name, values, 44100)
    config = NetworkConfig(kind, features, 5, 3, 6, 1.5, 1)
    theirs, ours = [], []
    for fold in range(2):
        for built, build in ((theirs, plain.plain_classifier), (ours, build_classifier)):
            torch.manual_seed(fold)
            built.append(build(config).eval())
    paths, lengths = probe_clips(names, str(tmp_path), "table")
    clips = [Clip(*row) for row in zip(names, paths, lengths, strict=True)]
    cpu = torch.device("cpu")
    logits, _, _ = predict(ours, evaluation_loader(clips, 2, 0, False), 5, cpu, "folds")
    expected = plain.predict_fold_by_fold(theirs, [str(path) for path in paths], 3, cpu)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


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
