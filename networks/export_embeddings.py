"""What surrounds a backbone in an exported file: clips cut into its windows, and heads on its vectors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from networks.embeddings import EmbeddingHead
from ops.embeddings import N_POOLED, pool_windows
from ops.sampling import SAMPLE_RATE


class ClipWindows(nn.Module):
    """Clips -> a backbone's windows, as ops.embeddings.window_starts places them, for export by tracing.

    forward(waveform): (batch, samples) float32 at 44,100 Hz, clips of equal length, of any length from 1
    sample on. Returns the windows (batch * windows, window), each clip's in a row, and where they begin,
    (batch, windows), whose shape tells which are whose.

    Args:
        rate: in Hz; what follows is in samples at it.
        min_samples: a shorter clip is extended with silence.
    """

    def __init__(self, rate: int, window: int, hop: int, min_samples: int):
        super().__init__()
        self.window, self.hop, self.min_samples = window, hop, max(window, min_samples)
        self.resample = Resample(SAMPLE_RATE, rate)
        self.step_in = SAMPLE_RATE // self.resample.gcd
        self.step_out = rate // self.resample.gcd

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        x, length = self._resampled(waveform)
        extent = length.clamp(min=self.min_samples)
        x = nn.functional.pad(x, (0, extent - length))
        last = extent - self.window
        count = torch.div(last + self.hop - 1, self.hop, rounding_mode="floor") + 1
        starts = torch.minimum(torch.arange(count) * self.hop, last)
        windows = x[:, starts[:, None] + torch.arange(self.window)]  # (batch, windows, window)
        return windows.reshape(-1, self.window), starts.float().expand(waveform.shape[0], -1)

    def _resampled(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """What torchaudio's Resample computes, by whole numbers that tracing keeps, and its length."""
        length = torch.as_tensor(waveform.shape[1])
        if self.step_in == self.step_out:
            return waveform, length
        x = nn.functional.pad(waveform, (self.resample.width, self.resample.width + self.step_in))
        x = nn.functional.conv1d(x[:, None], self.resample.kernel, stride=self.step_in)
        x = x.transpose(1, 2).reshape(waveform.shape[0], -1)
        length = torch.div(length * self.step_out + self.step_in - 1, self.step_in, rounding_mode="floor")
        return x[:, :length], length


class PooledHeads(nn.Module):
    """The mean probability of heads, as the experiment predicts.

    forward(vectors, starts): the backbone's vectors (batch * windows, size) of ClipWindows' windows, and its
    second result. Returns (batch, classes).
    """

    def __init__(self, heads: Iterable[EmbeddingHead]):
        super().__init__()
        self.heads = nn.ModuleList(copy.deepcopy(list(heads)))

    def forward(self, vectors: Tensor, starts: Tensor) -> Tensor:
        size = self.heads[0].config.embedding_size // N_POOLED
        embeddings = pool_windows(vectors.reshape(*starts.shape, size))
        return torch.stack([head(embeddings).sigmoid() for head in self.heads]).mean(0)


class HeadOnWaveforms(nn.Module):
    """A head together with what embeds clips: forward(waveform), (batch, samples) -> logits (batch, classes).

    embed: called with (batch, samples) and lengths (batch,), gives embeddings (batch, embedding_size).
    """

    def __init__(self, embed: Callable[[Tensor, Tensor], Tensor], head: EmbeddingHead):
        super().__init__()
        self.embed, self.head = embed, head

    def forward(self, waveform: Tensor) -> Tensor:
        return self.head(self.embed(waveform, torch.full((len(waveform),), waveform.shape[1])))
