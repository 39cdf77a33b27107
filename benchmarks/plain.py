"""The plain way of each job: what one writes first, and what the published solution did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from networks.blocks import PReLU
from networks.classifiers import Classifier, NetworkConfig
from ops.features import LOG_OFFSET, LogSpectrogram, reflect_pad


def pairwise_lsep(logits: Tensor, targets: Tensor) -> Tensor:
    """LSEP by its definition: a (batch, classes, classes) array of differences."""
    differences = logits[:, :, None] - logits[:, None, :]
    pairs = (1 - targets)[:, :, None] * targets[:, None, :]
    return torch.log(1 + (differences.exp() * pairs).sum((1, 2))).mean()


class PlainFrontEnd(LogSpectrogram):
    """Magnitude by abs() of the complex spectrum."""

    def forward(self, signal: Tensor, lengths: Tensor | None = None) -> Tensor:
        spectrum = self.spectrogram(reflect_pad(signal, lengths, self.spec.n_fft // 2)).abs()
        features = self.filters @ spectrum if self.filters is not None else spectrum
        if lengths is not None:
            frames = self.spec.n_frames(lengths).to(signal.device)
            features = (
                features * (torch.arange(features.shape[2], device=signal.device) < frames[:, None])[:, None]
            )
        return torch.log(features + LOG_OFFSET)


def plain_classifier(config: NetworkConfig) -> Classifier:
    """The same network in float32, channels-first, of torch's own layers."""
    model = Classifier(config)
    model.front_end = PlainFrontEnd(config.features)
    for layer in list(model.blocks.modules()):
        for name, child in layer.named_children():
            if isinstance(child, PReLU):
                setattr(layer, name, nn.PReLU(child.num_parameters))
    return model


@torch.inference_mode()
def predict_fold_by_fold(
    models: Sequence[nn.Module], paths: Sequence[str], batch_size: int, device: torch.device
) -> np.ndarray:
    """(models, clips, classes): every fold decodes every clip, batches in the table's order."""
    scores = []
    for model in models:
        rows = []
        for start in range(0, len(paths), batch_size):
            clips = [soundfile.read(path, dtype="float32")[0] for path in paths[start : start + batch_size]]
            lengths = torch.tensor([len(clip) for clip in clips])
            signal = torch.zeros(len(clips), int(lengths.max()))
            for row, clip in enumerate(clips):
                signal[row, : len(clip)] = torch.from_numpy(clip)
            rows.append(model(signal.to(device), lengths).cpu())
        scores.append(torch.cat(rows).numpy())
    return np.stack(scores)
