"""A head on embeddings of clips, which a pretrained network, frozen, has made: embeddings in, logits out.

config = EmbeddingConfig("embedding", n_classes=80, backbone="onnx:yamnet.onnx", embedding_size=2048)
logits = EmbeddingHead(config)(embeddings)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from networks.blocks import BatchNorm1d
from networks.classifiers import check_values, option
from ops.embeddings import GRAMMAR, parse_backbone

MIN_VARIANCE = 1e-3  # of a value's over the clips, as a share of the mean one: it is not scaled up further


@dataclass(frozen=True)
class EmbeddingConfig:
    """Everything that rebuilding a head needs; stored in every checkpoint.

    Attributes:
        kind: "embedding".
        n_classes: number of logits.
        backbone: the pretrained network, see ops.embeddings.
        hidden: units of the hidden layer; 0: none.
        output_dropout: probability before the last layer.
        backbone_digest: of the pretrained network's files; known once they are read.
        embedding_size: numbers of a clip's embedding; likewise.
    """

    kind: str
    n_classes: int
    backbone: str = option(f"pretrained network, frozen: {GRAMMAR}", required=True, parse=parse_backbone)
    hidden: int = option("units of a hidden layer; 0: none, which is logistic regression", 0, low=0)
    output_dropout: float = option("dropout probability before the last layer", 0.0, low=0, below=1)
    backbone_digest: str = ""
    embedding_size: int = 0

    def __post_init__(self):
        parse_backbone(self.backbone)
        checks = [
            (self.kind == "embedding", "kind", "'embedding'"),
            (self.n_classes >= 1, "n_classes", "at least 1"),
            (self.hidden >= 0, "hidden", "0 or more"),
            (0 <= self.output_dropout < 1, "output_dropout", "0 or more and less than 1"),
        ]
        check_values(self, checks)


class EmbeddingHead(nn.Module):
    """Standardisation, a hidden layer where there is one, and a linear layer.

    forward(signal, lengths): signal (batch, embedding_size) float32, the clips' embeddings where other
    networks take waveforms; lengths are not looked at. Returns logits (batch, classes).
    """

    def __init__(self, config: EmbeddingConfig):
        super().__init__()
        if config.embedding_size < 1:
            raise ValueError(f"embedding_size: expected at least 1, got {config.embedding_size!r}")
        self.config = config
        width = config.embedding_size
        self.standardisation = BatchNorm1d(width, affine=False)
        hidden: list[nn.Module] = []
        if config.hidden:
            hidden = [nn.Linear(width, config.hidden), nn.PReLU(config.hidden)]
            width = config.hidden
        self.head = nn.Sequential(
            *hidden, nn.Dropout(config.output_dropout), nn.Linear(width, config.n_classes)
        )

    @property
    def front_end_key(self) -> Hashable:
        """Heads with equal keys take equal embeddings."""
        return self.config.backbone_digest

    @property
    def example_samples(self) -> int:
        """The width of a signal that it takes."""
        return self.config.embedding_size

    def standardise(self, embeddings: Tensor) -> None:
        """Takes mean and variance of each value over clips, (clips, embedding_size); nothing trains them."""
        variance, mean = torch.var_mean(embeddings, dim=0, correction=0)
        self.standardisation.running_mean.copy_(mean)
        self.standardisation.running_var.copy_(variance.clamp(min=float(variance.mean()) * MIN_VARIANCE))

    def train(self, mode: bool = True) -> EmbeddingHead:
        """As torch's, but that the standardisation stays what it is."""
        super().train(mode)
        self.standardisation.eval()
        return self

    def norm_groups(self) -> list[list[nn.Module]]:
        """The standardisation, which takes the statistics of other clips; none that training changes."""
        return [[self.standardisation], []]

    def pad_channels(self) -> None:
        """Nothing to pad: its layers are small."""

    def forward(self, signal: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.classify(*self.extract_features(signal, lengths))

    def extract_features(self, signal: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, None]:
        """The embeddings as they are, (batch, embedding_size)."""
        return signal, None

    def classify(self, features: Tensor, n_frames: None = None) -> Tensor:
        """Logits (batch, classes) of what extract_features returned."""
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would tie close scores
            return self.head(self.standardisation(features.float()))
