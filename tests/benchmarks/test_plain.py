"""What the benchmarks compare computes the same; else their ratios would mean nothing."""

import numpy as np
import plain
import pytest
import soundfile
import torch

from networks.classifiers import NetworkConfig, build_classifier
from ops.losses import lsep_loss
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip
from toolkit.system.runtime import Runtime
from toolkit.training.evaluation import Evaluator, portion_of


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
    portion = portion_of(clips, 2, Runtime(device=cpu, num_workers=0))
    logits = Evaluator(ours, 5, cpu).score_together(portion, "folds").logits
    expected = plain.predict_fold_by_fold(theirs, [str(path) for path in paths], 3, cpu)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
