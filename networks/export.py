"""A network as one module without Python's decisions: waveforms in, probabilities out, for export."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from networks.classifiers import Classifier
from ops.features import LOG_OFFSET


class PairMaximum(nn.Module):
    """What MaxPool of 2 computes, (batch, depth, [features,] frames), sizes free for torch.export."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            x = torch.maximum(x[:, :, :-1:2], x[:, :, 1::2])
        return torch.maximum(x[..., :-1:2], x[..., 1::2])


class WaveformTagger(nn.Module):
    """The mean probability of networks of one configuration, as the experiment predicts.

    forward(waveform): (batch, samples) float32 at 44,100 Hz, clips of equal length, of any length from 1
    sample on. Returns (batch, classes) probabilities. The front end is written with real numbers: a
    convolution with the windowed basis of the discrete Fourier transform, since ONNX has no complex ones.
    """

    def __init__(self, models: list[Classifier]):
        super().__init__()
        front_end = models[0].front_end
        self.spec = spec = front_end.spec
        self.padding, self.hop = spec.n_fft // 2, spec.hop
        self.min_frames = 2 ** len(models[0].blocks)
        self.min_samples = spec.min_samples(self.min_frames)
        window = front_end.spectrogram.window.double()
        time, frequency = torch.arange(spec.n_fft).double(), torch.arange(spec.n_fft // 2 + 1).double()
        # Exact products modulo n_fft: large angles would lose digits.
        angle = 2 * math.pi / spec.n_fft * (frequency[:, None] * time % spec.n_fft)
        basis = torch.cat([angle.cos() * window, angle.sin() * window]).float()
        self.register_buffer("basis", basis[:, None])  # (2 * bins, 1, n_fft)
        self.register_buffer("filters", front_end.filters)
        self.models = nn.ModuleList(copy.deepcopy(models))
        for model in self.models:
            for block in model.blocks:
                block.pool = PairMaximum()

    def forward(self, waveform: Tensor) -> Tensor:
        features, n_frames = self.log_spectrogram(waveform)
        return torch.stack([model.classify(features, n_frames).sigmoid() for model in self.models]).mean(0)

    def log_spectrogram(self, waveform: Tensor) -> tuple[Tensor, Tensor | None]:
        """(batch, features, frames), equal to ops.features' but for rounding; frames of each clip or None."""
        n_samples = waveform.shape[1]
        # Short clips are extended with silence. A traced size is a tensor, one of torch.export a symbol.
        if torch.jit.is_tracing():
            length = extent = torch.as_tensor(n_samples).clamp(min=self.min_samples)
        else:
            # A size of 1 after the last pooling would be a case of its own to torch.export: twice the
            # frames, the second half masked.
            length = torch.sym_max(n_samples, self.min_samples)
            extent = torch.sym_max(n_samples, self.spec.min_samples(2 * self.min_frames))
        waveform = nn.functional.pad(waveform, (0, length - n_samples))
        # Reflected at both ends, to and fro where the padding is longer than the clip: the period of a
        # reflection is 2 (length - 1).
        position = torch.arange(extent + 2 * self.padding, device=waveform.device) - self.padding
        last = torch.full_like(position, 1) * (length - 1)
        within = position.remainder((2 * last).clamp(min=1))
        padded = waveform[:, last - (within - last).abs()]
        spectrum = nn.functional.conv1d(padded[:, None], self.basis, stride=self.hop)
        real, imaginary = spectrum.chunk(2, dim=1)
        magnitude = (real * real + imaginary * imaginary).sqrt()  # (batch, bins, frames)
        if self.filters is not None:
            magnitude = self.filters @ magnitude
        features = (magnitude + LOG_OFFSET).log()
        if torch.jit.is_tracing():
            return features, None
        return features, torch.full((1,), self.spec.n_frames(length))  # broadcast over the batch
