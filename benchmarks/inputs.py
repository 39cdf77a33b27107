"""What the jobs work on: networks, batches, training steps, a folder of WAV files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from plain import pairwise_lsep, plain_classifier

from networks.classifiers import NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops.losses import lsep_loss
from ops.optimization import make_optimizer
from ops.sampling import SAMPLE_RATE
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip
from toolkit.system.runtime import Runtime, accelerate

FEATURES = {"2d": "mel_2048_1024_128", "1d": "stft_256_128"}
N_CLASSES = 80
MAX_SECONDS = 30  # of the competition's clips


def network(kind: str, depth: int, device: torch.device, plain: bool = False, **options: bool):
    """The published network, ready to train: 5 blocks, growth 1.5, heads from block 1 on.

    options: of the Runtime (amp, compile); the plain one has none and stays as it was built.
    """
    model = _build(kind, depth, plain).to(device)
    if not plain:
        accelerate(model, Runtime(device=device, **options))
    return model


def predicting_network(kind: str, depth: int, device: torch.device, plain: bool = False, **options: bool):
    """The same, ready to predict: its batch norms are folded first, as toolkit.prediction does it."""
    model = _build(kind, depth, plain).eval().to(device)
    if not plain:
        accelerate(fold_batch_norms(model), Runtime(device=device, **options))
    return model


def _build(kind: str, depth: int, plain: bool):
    torch.manual_seed(0)
    config = NetworkConfig(
        kind, FEATURES[kind], N_CLASSES, conv_base_depth=depth, growth_rate=1.5, start_deep_supervision_on=1
    )
    return (plain_classifier if plain else build_classifier)(config)


def synchronize(device: torch.device) -> None:
    """Waits for what a GPU was given to do: before the clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def batch(device: torch.device, n_clips: int = 8, seconds: float = 10) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    signal = 0.1 * torch.randn(n_clips, int(seconds * SAMPLE_RATE), device=device)
    return signal, (torch.rand(n_clips, N_CLASSES, device=device) < 0.03).float()


def training_step(model: torch.nn.Module, plain: bool) -> Callable:
    """step(signal, targets, lengths): forward, LSEP, backward, Adam."""
    loss_fn = pairwise_lsep if plain else lsep_loss
    if plain:
        optimizer = torch.optim.Adam(model.parameters(), 1e-4, amsgrad=True)
    else:
        optimizer = make_optimizer("adam", model.parameters(), 1e-4, 0.0)

    def step(signal: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor | None = None) -> None:
        loss_fn(model(signal, lengths), targets).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


class SharedClips:
    """WAV files with the competition's lengths: log-normal, median 6.5 s, clipped to 0.3 to 30 s.

    Written when they are first asked for, once for all jobs and ways.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def names(self, n_clips: int, max_seconds: float = MAX_SECONDS) -> list[str]:
        """Of n_clips files in the folder, none longer than max_seconds."""
        generator = np.random.default_rng(0)
        noise = generator.uniform(-0.5, 0.5, int((MAX_SECONDS + 1) * SAMPLE_RATE)).astype(np.float32)
        seconds = np.clip(6.5 * np.exp(1.1 * generator.standard_normal(n_clips)), 0.3, max_seconds)
        names = [f"{max_seconds:g}_{number:05}.wav" for number in range(n_clips)]
        for name, duration in zip(names, seconds, strict=True):
            if not (self.folder / name).exists():
                soundfile.write(self.folder / name, noise[: int(duration * SAMPLE_RATE)], SAMPLE_RATE)
        return names

    def labelled(self, n_clips: int) -> list[Clip]:
        """n_clips of them with random labels."""
        names = self.names(n_clips)
        paths, lengths = probe_clips(names, str(self.folder), "table")
        labels = (np.random.default_rng(0).random((n_clips, N_CLASSES)) < 0.03).astype(np.float32)
        return [Clip(*row) for row in zip(names, paths, lengths, labels, strict=True)]
