"""BatchNorm statistics: --adapt_batch_norm, and those recomputed after each epoch."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import nn

import predict_2d_cnn
import train_2d_cnn
from networks.classifiers import NetworkConfig, build_classifier
from ops.errors import DataError
from run_configs import run_config
from toolkit.clips.loading import Clip
from toolkit.runs.checkpoints import load_weights
from toolkit.runs.clips import load_splits
from toolkit.runs.config import RunConfig, SubmissionConfig
from toolkit.runs.experiment import Experiment
from toolkit.system.interruption import Interrupted, StopRequest
from toolkit.system.runtime import Runtime, accelerate
from toolkit.training import batch_norm

CPU = torch.device("cpu")


@pytest.fixture
def clips(tmp_path):
    """clips(gain) -> 20 clips of noise, 1,000 samples each, no two of the same level."""

    def write(gain: float = 1.0) -> list[Clip]:
        rng, found = np.random.default_rng(0), []
        for index in range(20):
            path = tmp_path / f"{gain}_{index}.wav"
            audio = gain * (0.02 * index + rng.uniform(-0.1, 0.1, 1000))
            soundfile.write(path, audio, 44100, subtype="FLOAT")
            found.append(Clip(f"{index}.wav", path, 1000))
        return found

    return write


def config(**train) -> RunConfig:
    return run_config(train={"batch_size": 8, "seed": 0, **train}, max_audio_length=1)


def runtime(workers: int = 0) -> Runtime:
    return Runtime(device=CPU, num_workers=workers)


class Waveform(nn.Module):
    """The statistics of the waveforms themselves."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def norm_groups(self):
        return [[self.norm]]

    def forward(self, signal, lengths):
        return self.norm(signal[:, None])


def test_statistics_are_the_means_over_whole_batches(clips):
    table, model = clips(), Waveform().eval()
    batch_norm.adapt_batch_norms(model, table, config(), runtime())
    audio = {clip.fname: soundfile.read(clip.path)[0] for clip in table}
    order = np.random.default_rng([0, 0]).permutation(20)
    in_order = np.array([audio[name] for name in np.array(sorted(audio))[order]])
    batches = [in_order[:8], in_order[8:16]]  # the last four clips are no whole batch
    assert model.norm.running_mean.item() == pytest.approx(np.mean([b.mean() for b in batches]), abs=1e-6)
    assert model.norm.running_var.item() == pytest.approx(np.mean([b.var(ddof=1) for b in batches]), rel=1e-5)
    assert model.norm.momentum == 0.1 and not model.training and not model.norm.training


def test_neither_order_nor_what_was_there_before_matters(clips):
    table, first, second = clips(), Waveform(), Waveform()
    second.norm.running_mean.fill_(7.0)
    second.train()
    batch_norm.adapt_batch_norms(first, table, config(), runtime())
    batch_norm.adapt_batch_norms(second, table[::-1], config(), runtime(2))
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)


def test_a_table_of_many_clips_is_drawn_from(clips, monkeypatch):
    monkeypatch.setattr(batch_norm, "MAX_CLIPS", 9)
    model = Waveform()
    batch_norm.adapt_batch_norms(model, clips(), config(), runtime())
    assert model.norm.num_batches_tracked == 1


def test_a_change_of_level_is_undone(clips):
    """A fifth of the level moves all log features alike, which the statistics of these clips take away."""
    torch.manual_seed(0)
    model = build_classifier(
        NetworkConfig(
            "2d", "stft_128_64", 3, num_conv_blocks=2, conv_base_depth=4, start_deep_supervision_on=0
        )
    )

    def logits(table: list[Clip], statistics_of: list[Clip]) -> torch.Tensor:
        batch_norm.adapt_batch_norms(model, statistics_of, config(batch_size=10), runtime())
        with torch.no_grad():
            return model(torch.from_numpy(np.stack([clip.read() for clip in table])))

    loud, quiet = clips(1.0), clips(0.2)
    expected = logits(loud, loud)
    off, undone = [(logits(quiet, of) - expected).abs().mean() for of in (loud, quiet)]
    assert undone < 0.1 * off


def test_unreadable_clips_are_left_out_and_too_few_are_refused(clips):
    table = clips()
    for clip in table[:4]:
        clip.path.write_bytes(b"no sound")
    model = Waveform()
    batch_norm.adapt_batch_norms(model, table, config(batch_size=5), runtime())
    assert model.norm.num_batches_tracked == 4 and torch.isfinite(model.norm.running_var).all()
    for clip in table[4:13]:
        clip.path.write_bytes(b"no sound")
    with pytest.raises(DataError, match="expected at least 8 clips that can be read, found 7"):
        batch_norm.adapt_batch_norms(model, table, config(batch_size=5), runtime())
    with pytest.raises(DataError, match="found 0"):
        batch_norm.adapt_batch_norms(model, [], config(), runtime())


def state_of(model: nn.Module) -> dict:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_after_an_error_statistics_and_settings_are_what_they_were(clips):
    table, model = clips(), Waveform()
    model.norm.running_mean.fill_(7.0)
    before, momentum = state_of(model), model.norm.momentum
    for clip in table[4:]:
        clip.path.write_bytes(b"no sound")
    with pytest.raises(DataError, match="at least 8 clips"):
        batch_norm.adapt_batch_norms(model, table, config(batch_size=5), runtime())
    torch.testing.assert_close(state_of(model), before, rtol=0, atol=0)
    assert model.norm.momentum == momentum and not model.norm.training


def test_a_stop_is_looked_at_while_the_head_is_refreshed(clips):
    model = Pooled()
    before = state_of(model)
    stop = StopRequest()
    stop.requested_at = 0.0
    loader = batch_norm.refreshing_loader(clips(), config(), 0, runtime())
    with pytest.raises(Interrupted):
        batch_norm.refresh_head(model, loader, CPU, stop)
    torch.testing.assert_close(state_of(model), before, rtol=0, atol=0)


def test_adaptation_is_in_float32_whether_the_network_is_accelerated_or_not(clips):
    """In training it is when it adapts, in prediction it will be."""

    def adapted(first: bool) -> dict:
        torch.manual_seed(0)
        network = NetworkConfig(
            "2d", "stft_128_64", 3, num_conv_blocks=2, conv_base_depth=4, start_deep_supervision_on=0
        )
        model = build_classifier(network).eval()
        if first:
            accelerate(model, Runtime(device=CPU, amp=True))
        batch_norm.adapt_batch_norms(model, clips(), config(), runtime())
        return state_of(model)

    torch.testing.assert_close(adapted(True), adapted(False), rtol=0, atol=0)


def predict(experiment, toy, output, *flags) -> pd.DataFrame:
    predict_2d_cnn.main(
        [f"--experiment={experiment}", f"--output_df={output}", f"--classmap={toy.classmap}", "--device=cpu"]
        + [f"--test_df={toy.folder / 'test_truth.csv'}", f"--test_data_dir={toy.folder / 'test'}"]
        + ["--num_workers=0", *flags]
    )
    return pd.read_csv(output, index_col="fname")


@pytest.fixture
def test_clips(toy):
    return [f"--sample_submission={toy.folder / 'test_truth.csv'}", f"--test_data_dir={toy.folder / 'test'}"]


def test_training_and_prediction_adapt_alike(training_flags, test_clips, only_experiment, toy, tmp_path):
    train_2d_cnn.main(training_flags("--adapt_batch_norm", *test_clips))
    experiment = only_experiment()
    assert json.loads((experiment / "config.json").read_text())["train"]["adapt_batch_norm"] is True
    own = pd.read_csv(experiment / "predictions" / "submission.csv", index_col="fname")
    adapted = predict(experiment, toy, tmp_path / "adapted.csv", "--adapt_batch_norm")
    pd.testing.assert_frame_equal(adapted.loc[own.index], own, rtol=0, atol=1e-5)
    plain = predict(experiment, toy, tmp_path / "plain.csv")
    assert (plain - adapted).abs().to_numpy().max() > 1e-3


def test_training_refuses_small_tables_before_it_starts(training_flags, toy, tmp_path, capsys):
    table = tmp_path / "three.csv"
    pd.read_csv(toy.folder / "test_truth.csv").head(3).to_csv(table, index=False)
    flags = [f"--sample_submission={table}", f"--test_data_dir={toy.folder / 'test'}"]
    with pytest.raises(DataError, match="at least 8 test clips in fold 0, found 3"):
        train_2d_cnn.main(training_flags("--adapt_batch_norm", *flags))
    assert "epoch 0" not in capsys.readouterr().out


def test_prediction_of_few_clips_is_a_clear_error(training_flags, only_experiment, toy, tmp_path, run_script):
    train_2d_cnn.main(training_flags(epochs=1))
    folder = tmp_path / "sounds"
    folder.mkdir()
    for path in sorted((toy.folder / "test").glob("*.wav"))[:2]:
        shutil.copy(path, folder)
    done = run_script(
        "predict_2d_cnn.py", f"--experiment={only_experiment()}", "--inputs", folder, "--top_k=1",
        "--device=cpu", "--num_workers=0", "--adapt_batch_norm",
    )  # fmt: skip
    assert done.returncode == 1
    assert "expected at least 8 clips that can be read, found 2" in done.stderr
    assert "Traceback" not in done.stderr


class Pooled(nn.Module):
    """Waveforms normalised, their maxima normalised: a block and a head."""

    def __init__(self):
        super().__init__()
        self.block, self.head = nn.BatchNorm1d(1), nn.BatchNorm1d(1)

    def norm_groups(self):
        return [[self.block], [self.head]]

    def forward(self, signal, lengths):
        return self.head(self.block(signal[:, None]).amax(2))


def test_the_head_is_refreshed_as_evaluation_sees_it(clips):
    """With the block's statistics fixed, which in training are each batch's own."""
    table, model = clips(), Pooled()
    model.block.running_mean.fill_(0.3)
    model.block.running_var.fill_(0.25)
    loader = batch_norm.refreshing_loader(table, config(batch_size=10), 1, runtime())
    batch_norm.refresh_head(model, loader, CPU)
    assert (model.block.running_mean.item(), model.block.running_var.item()) == (pytest.approx(0.3), 0.25)
    audio = np.array([soundfile.read(clip.path)[0] for clip in sorted(table, key=lambda clip: clip.fname)])
    maxima = (audio[np.random.default_rng([0, 1]).permutation(20)].max(axis=1) - 0.3) / np.sqrt(0.25 + 1e-5)
    batches = maxima.reshape(2, 10)
    assert model.head.running_mean.item() == pytest.approx(batches.mean(), rel=1e-5)
    assert model.head.running_var.item() == pytest.approx(batches.var(axis=1, ddof=1).mean(), rel=1e-5)


def test_adaptation_takes_the_head_after_the_block(clips):
    table, model = clips(), Pooled()
    adapted = config(batch_size=10)
    batch_norm.adapt_batch_norms(model, table, adapted, runtime())
    head = model.head.running_mean.clone(), model.head.running_var.clone()
    loader = batch_norm.refreshing_loader(table, adapted, 0, runtime())
    batch_norm.refresh_head(model, loader, CPU)
    torch.testing.assert_close(head, (model.head.running_mean, model.head.running_var), rtol=0, atol=0)


def test_saved_networks_have_refreshed_heads(training_flags, only_experiment):
    train_2d_cnn.main(training_flags(epochs=3, p_mixup=0.5, switch_off_augmentations_on=3))
    experiment = Experiment.load(only_experiment())
    training = load_splits(experiment.config.data, SubmissionConfig()).folds[1].training
    model = build_classifier(NetworkConfig(**experiment.config.network))
    load_weights(model, experiment.checkpoint(1, "final_model"))
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    assert model.head[0].num_batches_tracked == 3  # of 12 clips in batches of 4
    model.head[0].running_mean.add_(1)
    batch_norm.refresh_head(
        model, batch_norm.refreshing_loader(training, experiment.config, 1, runtime()), CPU
    )
    torch.testing.assert_close(model.state_dict(), saved, rtol=0, atol=1e-6)
