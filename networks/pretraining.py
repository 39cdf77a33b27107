"""Networks that learn without labels: a classifier's blocks, and heads that are thrown away afterwards.

build_pretraining(config, "cpc", steps=3)(signal, lengths) gives what ops.contrastive's losses take.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from networks.blocks import GlobalMaxPool
from networks.classifiers import NetworkConfig, build_classifier, head_of, masked
from ops.views import change_spectrogram

SIZE = 128  # of projections, contexts and frames that are compared
BATCH_OF_FEATURES = tuple[Tensor, Tensor | None]


class Trunk(nn.Module):
    """A classifier without its head, which the two objectives train; classify is theirs to give.

    forward(signal, lengths, bands): as a Classifier's; bands: see ops.views.change_spectrogram.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.trunk = build_classifier(config)
        self.trunk.head.requires_grad_(False)

    @property
    def example_samples(self) -> int:
        return self.trunk.example_samples

    def pad_channels(self) -> None:
        self.trunk.pad_channels()

    def extract_features(self, signal: Tensor, lengths: Tensor | None = None) -> BATCH_OF_FEATURES:
        return self.trunk.extract_features(signal, lengths)

    def forward(self, signal: Tensor, lengths: Tensor | None = None, bands: Tensor | None = None) -> Tensor:
        features, n_frames = self.extract_features(signal, lengths)
        if bands is not None:
            features = change_spectrogram(features, n_frames, bands)
        return self.classify(features, n_frames)

    def trained_weights(self) -> dict[str, Any]:
        """Of the classifier's state_dict all that belongs to modules that were trained."""
        fixed = {name for name, weight in self.trunk.named_parameters() if not weight.requires_grad}
        modules = {name.split(".")[0] for name in fixed}
        return {
            name: value
            for name, value in self.trunk.state_dict().items()
            if name.split(".")[0] not in modules
        }

    def pooled(self) -> Pooled:
        """The same blocks as features of whole clips."""
        return Pooled(self)


class Contrastive(Trunk):
    """classify(features, n_frames) -> (batch, SIZE): a projection of what feeds a classifier's head."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.projection = head_of(self.trunk.head[1].in_features, SIZE, dropout=0.0)

    def classify(self, features: Tensor, n_frames: Tensor | None) -> Tensor:
        mask, n_frames = masked(features, n_frames)
        vectors = self.trunk.through_blocks(features, mask, n_frames, self.trunk.aggregations)
        with torch.autocast(features.device.type, enabled=False):
            return self.projection(torch.cat(vectors, dim=1).float())


class Predictive(Trunk):
    """classify(features, n_frames) -> (batch, frames, 1 + steps, SIZE), see ops.contrastive.cpc_loss.

    A frame holds the maps of all blocks that feed a classifier's head: their mean over frequency, pooled to
    the frames of the last block. The context is a GRU over these, from the first on; each step has a linear
    layer that predicts from it. The classifier's own pooling, which may be recurrent, is not trained.
    """

    def __init__(self, config: NetworkConfig, steps: int):
        super().__init__(config)
        self.trunk.aggregations.requires_grad_(False)
        depths = config.supervised_depths
        self.takes = [Frames(depth, 2 ** (len(depths) - 1 - k)) for k, depth in enumerate(depths)]
        self.norm = nn.LayerNorm(sum(depths))
        self.frame = nn.Linear(sum(depths), SIZE)
        self.context = nn.GRU(SIZE, SIZE, batch_first=True)
        self.predictions = nn.ModuleList(nn.Linear(SIZE, SIZE) for _ in range(steps))

    def classify(self, features: Tensor, n_frames: Tensor | None) -> Tensor:
        mask, n_frames = masked(features, n_frames)
        taken = self.trunk.through_blocks(features, mask, n_frames, self.takes)
        with torch.autocast(features.device.type, enabled=False):
            frames = self.frame(self.norm(torch.cat(taken, dim=1).transpose(1, 2).float()))
            context, _ = self.context(frames)  # (batch, frames, SIZE)
            outputs = torch.stack([frames, *(predict(context) for predict in self.predictions)], dim=2)
            if n_frames is not None:
                each = (n_frames // 2 ** len(self.trunk.blocks)).to(outputs.device, non_blocking=True)
                within = torch.arange(outputs.shape[1], device=outputs.device) < each[:, None]
                outputs = outputs * within[:, :, None, None]
            return outputs


class Frames:
    """(batch, channels, [features,] frames) -> (batch, depth, frames // factor), for through_blocks."""

    def __init__(self, depth: int, factor: int):
        self.depth, self.factor = depth, factor

    def __call__(self, x: Tensor, mask: Tensor | None, n_frames: Tensor | None) -> Tensor:
        x = x.mean(2) if x.dim() == 4 else x
        return nn.functional.max_pool1d(x[:, : self.depth], self.factor)


class Pooled(nn.Module):
    """classify(features, n_frames) -> (batch, size): the global maxima of the blocks that feed a head."""

    def __init__(self, network: Trunk):
        super().__init__()
        self.trunk = network.trunk
        depths = self.trunk.config.supervised_depths
        self.size, self.front_end_key = sum(depths), self.trunk.front_end_key
        self.takes = [GlobalMaxPool(depth) for depth in depths]

    def extract_features(self, signal: Tensor, lengths: Tensor | None = None) -> BATCH_OF_FEATURES:
        return self.trunk.extract_features(signal, lengths)

    def classify(self, features: Tensor, n_frames: Tensor | None) -> Tensor:
        mask, n_frames = masked(features, n_frames)
        return torch.cat(self.trunk.through_blocks(features, mask, n_frames, self.takes), dim=1)


def build_pretraining(config: NetworkConfig, objective: str, steps: int) -> Trunk:
    """A freshly initialised network for an objective, one of ops.contrastive.OBJECTIVES."""
    return Predictive(config, steps) if objective == "cpc" else Contrastive(config)
