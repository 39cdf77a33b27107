"""Front end: waveforms -> log spectrograms, on the device that the network runs on.

A descriptor names it: `stft_<n_fft>_<hop>` or `mel_<n_fft>_<hop>_<n_mels>`. Hann window of n_fft,
centred frames, reflect padding, magnitude; mel bands with the Slaney scale and area normalisation
from 5 Hz to Nyquist; log(x + 1e-4) in float32 even under mixed precision.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.transforms import Spectrogram

from ops.sampling import SAMPLE_RATE

MEL_FMIN_HZ = 5.0
LOG_OFFSET = 1e-4
LOG_SILENCE = math.log(LOG_OFFSET)
GRAMMAR = "mel_<n_fft>_<hop>_<n_mels> (as mel_2048_1024_128) or stft_<n_fft>_<hop> (as stft_256_128)"


@dataclass(frozen=True)
class FeatureSpec:
    """What a feature descriptor says: window and hop in samples; n_mels is None for `stft`."""

    n_fft: int
    hop: int
    n_mels: int | None = None

    @property
    def n_features(self) -> int:
        return self.n_fft // 2 + 1 if self.n_mels is None else self.n_mels

    @property
    def frequencies_hz(self) -> np.ndarray:
        """(features,) centre of each bin or mel band."""
        if self.n_mels is None:
            return np.arange(self.n_features) * SAMPLE_RATE / self.n_fft
        return librosa.mel_frequencies(self.n_mels + 2, fmin=MEL_FMIN_HZ, fmax=SAMPLE_RATE / 2)[1:-1]

    def n_frames(self, n_samples):
        """Number of centred frames of a signal of n_samples (an int or an integer tensor)."""
        return 1 + (n_samples + 2 * (self.n_fft // 2) - self.n_fft) // self.hop

    def min_samples(self, n_frames: int) -> int:
        """The fewest samples that give n_frames frames."""
        return max(1, (n_frames - 1) * self.hop + self.n_fft - 2 * (self.n_fft // 2))


def parse_features(descriptor: str) -> FeatureSpec:
    """Parses a feature descriptor; raises ValueError with the grammar where it is malformed."""
    match = re.fullmatch(r"(?:stft|mel)((?:_[0-9]{1,9})+)", descriptor, flags=re.ASCII)
    numbers = [int(number) for number in match[1].split("_")[1:]] if match else []
    expected = 2 if descriptor.startswith("stft") else 3
    if len(numbers) != expected:
        raise ValueError(f"features: expected {GRAMMAR}, got {descriptor!r}")
    spec = FeatureSpec(*numbers)
    if spec.n_fft < 2 or not 1 <= spec.hop <= spec.n_fft or spec.n_fft > 2**20:
        raise ValueError(
            f"features: expected 2 <= n_fft <= {2**20} and 1 <= hop <= n_fft, got {descriptor!r}"
        )
    if spec.n_mels is not None and not 1 <= spec.n_mels <= spec.n_fft // 2 + 1:
        raise ValueError(
            f"features: expected 1 <= n_mels <= n_fft / 2 + 1 = {spec.n_fft // 2 + 1}, got {descriptor!r}"
        )
    return spec


def reflect_pad(signal: Tensor, lengths: Tensor | None, padding: int) -> Tensor:
    """Pads `padding` samples on both sides, each clip by its own reflection.

    Args:
        signal: (batch, samples).
        lengths: (batch,) samples of each clip, at least 1 and at most `samples`; None: all of them.
        padding: samples on each side; where it exceeds a clip, the reflection is reflected again.

    Returns:
        (batch, samples + 2 * padding); zeros behind each clip's own padding.
    """
    n_samples = signal.shape[1]
    if lengths is None and padding < n_samples:
        return nn.functional.pad(signal, (padding, padding), mode="reflect")
    if lengths is None:
        lengths = torch.full((signal.shape[0],), n_samples)
    lengths = lengths.to(signal.device, non_blocking=True)[:, None]
    position = torch.arange(-padding, n_samples + padding, device=signal.device)[None]
    period = (2 * (lengths - 1)).clamp(min=1)
    index = position.remainder(period)  # a reflection has the period 2 (length - 1)
    index = torch.where(index < lengths, index, period - index)
    return signal.gather(1, index) * (position < lengths + padding)


class LogSpectrogram(nn.Module):
    """Log magnitude of the (mel) spectrogram of each clip of a padded batch.

    forward(signal, lengths): signal (batch, samples) float32 in [-1, 1], 44,100 Hz; lengths (batch,)
    samples of each clip, or None where all are full. Returns (batch, features, frames), where frames
    behind a clip's own are log(1e-4): silence.
    """

    def __init__(self, descriptor: str):
        super().__init__()
        self.spec = parse_features(descriptor)
        n_fft, hop, n_mels = self.spec.n_fft, self.spec.hop, self.spec.n_mels
        # Padded by reflect_pad, clip by clip: torchaudio would reflect a shorter clip's zeros.
        self.spectrogram = Spectrogram(n_fft=n_fft, hop_length=hop, power=None, center=False)
        self.spectrogram.register_buffer("window", self.spectrogram.window, persistent=False)
        filters = None
        if n_mels is not None:
            filters = torch.from_numpy(
                librosa.filters.mel(
                    sr=SAMPLE_RATE,
                    n_fft=n_fft,
                    n_mels=n_mels,
                    fmin=MEL_FMIN_HZ,
                    fmax=SAMPLE_RATE / 2,
                    htk=False,
                    norm="slaney",
                )
            )  # (n_mels, n_fft // 2 + 1)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, signal: Tensor, lengths: Tensor | None = None) -> Tensor:
        with torch.autocast(signal.device.type, enabled=False):
            padded = reflect_pad(signal.float(), lengths, self.spec.n_fft // 2)
            spectrum = self.spectrogram(padded)  # (batch, n_fft // 2 + 1, frames), complex
            magnitude = torch.hypot(spectrum.real, spectrum.imag)  # abs() takes twice the time on CPUs
            if self.filters is not None:
                magnitude = self.filters @ magnitude  # (batch, n_mels, frames)
            if lengths is not None:
                frames = self.spec.n_frames(lengths).to(signal.device, non_blocking=True)
                within = torch.arange(magnitude.shape[2], device=signal.device) < frames[:, None]
                magnitude = magnitude * within[:, None]
            return torch.log(magnitude + LOG_OFFSET)
