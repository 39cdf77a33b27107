"""What the jobs work on: networks, batches, training steps, folders of WAV files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from plain import pairwise_lsep, plain_classifier

from networks.classifiers import NetworkConfig, build_classifier
from ops.losses import lsep_loss
from ops.optimization import make_optimizer
from ops.sampling import SAMPLE_RATE
from toolkit.system.runtime import Runtime, accelerate

FEATURES = {"2d": "mel_2048_1024_128", "1d": "stft_256_128"}
N_CLASSES = 80


def network(kind: str, depth: int, device: torch.device, plain: bool = False, amp=False, compiled=False):
    """The published network: 5 blocks, growth 1.5, heads from block 1 on."""
    torch.manual_seed(0)
    config = NetworkConfig(
        kind, FEATURES[kind], N_CLASSES, conv_base_depth=depth, growth_rate=1.5, start_deep_supervision_on=1
    )
    model = (plain_classifier if plain else build_classifier)(config).to(device)
    accelerate(model, Runtime(device=device, amp=amp, compile=compiled))
    return model


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


def competition_clips(folder: Path, n_clips: int, max_seconds: float = 30) -> list[str]:
    """WAV files with the competition's lengths: log-normal, median 6.5 s, clipped to 0.3 to 30 s."""
    generator = np.random.default_rng(0)
    noise = generator.uniform(-0.5, 0.5, int(31 * SAMPLE_RATE)).astype(np.float32)
    seconds = np.clip(6.5 * np.exp(1.1 * generator.standard_normal(n_clips)), 0.3, max_seconds)
    names = [f"{number:05}.wav" for number in range(n_clips)]
    for name, duration in zip(names, seconds, strict=True):
        soundfile.write(folder / name, noise[: int(duration * SAMPLE_RATE)], SAMPLE_RATE)
    return names
