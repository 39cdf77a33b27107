"""What the benchmarks compare computes the same; else their ratios would mean nothing."""

import shutil
from dataclasses import replace

import augmentation
import claims
import noisy
import numpy as np
import plain
import pytest
import real_runs
import soundfile
import thresholds
import torch

from networks.classifiers import NetworkConfig, build_classifier
from ops import transforms
from ops.losses import lsep_loss
from ops.transforms import Sample
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip, evaluation_loader
from toolkit.training.trainer import predict


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


def test_flags_of_zero_are_flags():
    spelled = real_runs.spelled({"p_mixup": 0, "amp": True, "share_noisy": False, "label": None, "lr": 0.1})
    assert spelled == ["--p_mixup=0", "--amp", "--lr=0.1"]


# The benchmark of noisy clips, on a layout of the demo's synthetic clips.


@pytest.fixture
def layout_script(toy, tmp_path):
    """Stands in for the script that lays real recordings out: copies the toy data set."""
    script = tmp_path / "make_layout.py"
    script.write_text(f"import shutil, sys\nshutil.copytree({str(toy.folder)!r}, sys.argv[1])\n")
    return script


TINY = {"features": "mel_512_512_16", "num_conv_blocks": 2, "conv_base_depth": 4, "growth_rate": 1.5,
        "start_deep_supervision_on": 0, "batch_size": 8}  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    """Both benchmarks train a tiny network."""
    original = real_runs.training_flags
    for module in (noisy, claims):
        monkeypatch.setattr(module, "training_flags", lambda *given: {**original(*given), **TINY})


def benchmark_flags(layout_script, tmp_path) -> list[str]:
    return [f"--data_script={layout_script}", f"--work_dir={tmp_path / 'work'}", "--rotations", "1",
            "--seeds", "0", "--epochs=1", "--curated_epochs=2"]  # fmt: skip


def test_the_benchmark_of_noisy_clips_goes_on_where_it_was(
    layout_script, tmp_path, tiny, capsys, monkeypatch
):
    flags = [*benchmark_flags(layout_script, tmp_path), "--label_noise", "0.4", "--methods"]
    noisy.main([*flags, "scoring_out_of_fold", "curated"])
    capsys.readouterr()
    rounds = list((tmp_path / "work/runs").glob("*-scoring_out_of_fold-*/rounds"))
    assert len(list(rounds[0].glob("experiments/round_0-*"))) == 1
    borrowed = (next(rounds[0].glob("experiments/round_0-*")) / "log").read_text()
    assert borrowed.count(" epoch 0:") == 2 and "finished before, nothing to do" in borrowed
    monkeypatch.setattr(noisy, "train", None)  # what is there is not trained again
    noisy.main([*flags, "scoring_out_of_fold", "curated"])
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ["scoring_out_of_fold", "1", "scoring_5"] in [row[:3] for row in rows]
    assert ["curated", "1"] in [row[:2] for row in rows]
    monkeypatch.undo()


def test_thresholds_are_compared_on_the_same_predictions(layout_script, tmp_path, tiny, capsys):
    flags = [*benchmark_flags(layout_script, tmp_path), "--curated_epochs=16"]  # enough to calibrate
    thresholds.main(flags)
    rows = [line.rsplit(maxsplit=5) for line in capsys.readouterr().out.splitlines()[-7:]]
    assert [row[0] for row in rows[1:]] == [*thresholds.WAYS, "zlpr, scores above 0"]
    for _, runs, *figures in rows[1:]:
        assert runs == "1" and all(0 <= float(figure) <= 1 for figure in figures)
    trained = {path.name for path in (tmp_path / "work/runs").iterdir()}
    thresholds.main(flags)
    assert {path.name for path in (tmp_path / "work/runs").iterdir()} == trained and len(trained) == 2


def test_a_claim_is_measured_and_kept(layout_script, tmp_path, tiny, capsys):
    flags = [*benchmark_flags(layout_script, tmp_path), "--claims", "mixup_paste"]
    claims.main(flags)
    first = capsys.readouterr().out
    assert "one pair has no spread" in first
    claims.main([*flags, "--report_only"])
    assert capsys.readouterr().out == first
    assert len(list((tmp_path / "work/runs").glob("*/result.json"))) == 2


def test_pasting_overwrites_and_weighting_weighs():
    first = Sample(np.ones(5, np.float32), np.array([1, 0], np.float32), "a")
    second = Sample(np.full(2, 3, np.float32), np.array([0, 1], np.float32), "b")
    draws = np.random.default_rng(0)
    a, offset = draws.uniform(0.4, 0.6), int(draws.integers(4))
    pasted = claims.pasting_mixup(first, second, np.random.default_rng(0))
    expected = np.full(5, a)
    expected[offset : offset + 2] = 3 * (1 - a)
    np.testing.assert_allclose(pasted.audio, expected, rtol=1e-6)
    assert pasted.labels.tolist() == [1, 1]
    weighted = claims.weighted_mixup(second, first, np.random.default_rng(0))
    np.testing.assert_allclose(weighted.labels, [a, 1 - a], rtol=1e-6)  # by length, not by order
    with claims.mixing_by("paste"):
        assert transforms.or_mixup is claims.pasting_mixup and not transforms.Augmentation().can_plan
    assert transforms.Augmentation().can_plan
    assert transforms.or_mixup is not claims.pasting_mixup


def test_the_share_recovered_by_hand():
    curated, method, oracle = np.array([0.5, 0.6]), np.array([0.6, 0.7]), np.array([0.7, 0.9])
    share, spread = noisy.recovered(curated, method, oracle)
    assert share == pytest.approx(0.2 / 0.5)
    # Without either pair: 0.1 / 0.3 and 0.1 / 0.2.
    assert spread == pytest.approx(np.sqrt(0.5 * 2 * ((1 / 2 - 1 / 3) / 2) ** 2))


def test_layouts_that_say_nothing_are_left_out():
    def result(precision):
        return {
            "lwlrap": sum(precision) / len(precision),
            "precision": precision,
            "n_labels": [1] * len(precision),
        }

    sure = result([0.2] * 50), result([0.9] * 50)
    unsure = result([0.2, 0.9] * 25), result([0.9, 0.3] * 25)
    results = {}
    for rotation, (low, high) in ((1, sure), (2, unsure)):
        results[rotation, 0.4, 0, "curated"], results[rotation, 0.4, 0, "oracle"] = low, high
    telling, left_out = noisy.telling_layouts(results, 0.4, [0])
    assert telling == [1] and len(left_out) == 1 and left_out[0].startswith("rotation 2 is left out")


HELPS = claims.Claim("", claims.BASE, claims.BASE)
NO_HELP = replace(HELPS, helps=False)


@pytest.mark.parametrize(
    "differences, claim, expected",
    [
        ([0.02, 0.03, 0.025], replace(HELPS, by=0.015), "holds here: "),
        ([0.02, 0.03, 0.025], replace(HELPS, by=0.05), "holds here, but by less"),
        ([-0.02, -0.03, -0.025], HELPS, "does not hold here"),
        ([-0.02, 0.03, 0.025], HELPS, "cannot be told from noise"),
        ([-0.02, -0.03, -0.025], NO_HELP, "holds here: no help"),
        ([0.02, 0.03, 0.025], NO_HELP, "does not hold here"),
    ],
)  # fmt: skip
def test_verdicts(differences, claim, expected):
    assert claims.verdict(np.array(differences), claim).startswith(expected)


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
