"""The classification models: waveforms in, logits out, front end included.

config = NetworkConfig(kind="2d", features="mel_2048_1024_128", n_classes=80)
logits = build_classifier(config)(signal, lengths)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from networks import graphs, padding
from networks.blocks import BatchNorm1d, ConvBlock, GlobalMaxPool, RecurrentPool, frame_mask
from ops.features import GRAMMAR, LogSpectrogram, parse_features
from ops.sampling import SAMPLE_RATE
from ops.spec_augment import hide_bands

KINDS = {"1d": 1, "2d": 2}
AGGREGATIONS = ("max", "rnn")


def option(help: str, default: Any = MISSING, **limits: Any) -> Any:
    """A field that is also a flag: its metadata are the help text and the values it takes."""
    return field(default=default, metadata={"help": help, **limits})


def check_values(config: Any, checks: Iterable[tuple[bool, str, str]]) -> None:
    """ValueError for the first field, of (is valid, name, what is expected), that is not valid."""
    for valid, name, expected in checks:
        if not valid:
            raise ValueError(f"{name}: expected {expected}, got {getattr(config, name)!r}")


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that rebuilding a network needs; stored in every checkpoint.

    The command line takes the flags from the fields' metadata. `kinds`: the kinds of network that have it.

    Attributes:
        kind: "2d" (spectrogram as an image) or "1d" (features as channels).
        features: front-end descriptor, see ops.features.
        n_classes: number of logits.
        num_conv_blocks: blocks; each halves frames (2D: and features).
        conv_base_depth, growth_rate: block k has int(growth_rate**k * conv_base_depth) channels.
        start_deep_supervision_on: blocks from this one on (counted from 0) feed the head.
        aggregation_type: "max" or "rnn".
        output_dropout: probability before the last layer.
        frequency_encoding: 2D only: a second input channel, -1 at the lowest feature to 1.
        pool_before_rnn: with "rnn": the frames of all blocks are pooled to those of the last one first.
    """

    kind: str
    features: str = option(f"front end: {GRAMMAR}", parse=parse_features)
    n_classes: int
    num_conv_blocks: int = option("number of convolutional blocks", 5, low=1, high=16)
    conv_base_depth: int = option("channels of block 0", 64, low=1)
    growth_rate: float = option("channels times this, block by block", 2.0, low=0.01, high=16)
    start_deep_supervision_on: int = option("first block that feeds the head, counted from 0", 2, low=0)
    aggregation_type: str = option(
        "how a block feeds the head: its global maximum, or a recurrent network over its frames",
        "max",
        choices=AGGREGATIONS,
        required=True,
    )
    output_dropout: float = option("dropout probability before the last layer", 0.0, low=0, below=1)
    frequency_encoding: bool = option(
        "leave out the input channel that tells the height of each feature", True, kinds=("2d",)
    )
    pool_before_rnn: bool = option(
        "with rnn: pool all blocks' frames to as few as the last one's first, so that no recurrent network "
        "walks over hundreds",
        False,
    )

    def __post_init__(self):
        spec = parse_features(self.features)
        checks = [
            (self.kind in KINDS, "kind", f"one of {sorted(KINDS)}"),
            (self.n_classes >= 1, "n_classes", "at least 1"),
            (1 <= self.num_conv_blocks <= 16, "num_conv_blocks", "1 to 16"),
            (self.conv_base_depth >= 1, "conv_base_depth", "at least 1"),
            (0 < self.growth_rate < 100, "growth_rate", "more than 0 and less than 100"),
            (
                0 <= self.start_deep_supervision_on < self.num_conv_blocks,
                "start_deep_supervision_on",
                f"0 to {self.num_conv_blocks - 1} (blocks are counted from 0)",
            ),
            (self.aggregation_type in AGGREGATIONS, "aggregation_type", f"one of {AGGREGATIONS}"),
            (
                not self.pool_before_rnn or self.aggregation_type == "rnn",
                "pool_before_rnn",
                "an aggregation_type of rnn with it",
            ),
            (0 <= self.output_dropout < 1, "output_dropout", "0 or more and less than 1"),
        ]
        check_values(self, checks)
        if min(self.depths) < 1:
            raise ValueError(
                f"growth_rate: with conv_base_depth {self.conv_base_depth} the blocks have depths "
                f"{self.depths}; expected at least 1 each, so raise one of the two"
            )
        if self.kind == "2d" and spec.n_features < 2**self.num_conv_blocks:
            raise ValueError(
                f"features: {self.num_conv_blocks} blocks halve the features to nothing; expected at "
                f"least {2**self.num_conv_blocks} features, {self.features!r} has {spec.n_features}"
            )

    @property
    def depths(self) -> list[int]:
        blocks = range(self.num_conv_blocks)
        return [int(self.growth_rate**k * self.conv_base_depth) for k in blocks]

    @property
    def supervised_depths(self) -> list[int]:
        """Those of the blocks that feed the head."""
        return self.depths[self.start_deep_supervision_on :]


class Classifier(nn.Module):
    """Front end, convolutional blocks, deep supervision and head, as NetworkConfig says.

    forward(signal, lengths): signal (batch, samples) float32 in [-1, 1] at 44,100 Hz, zero-padded at
    the end; lengths (batch,) samples of each clip (best on the CPU), or None where all are full.
    Returns logits (batch, classes). In evaluation a clip's logits depend on that clip alone.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        dims, depths = KINDS[config.kind], config.depths
        self.front_end = LogSpectrogram(config.features)
        n_features = self.front_end.spec.n_features
        if config.kind == "2d":
            depth_in = 2 if config.frequency_encoding else 1
            ramp = torch.linspace(-1.0, 1.0, n_features)[:, None]
            self.register_buffer("frequency_ramp", ramp, persistent=False)
        else:
            depth_in = n_features
        self.blocks = nn.ModuleList(
            ConvBlock(dims, d_in, d_out) for d_in, d_out in zip([depth_in, *depths[:-1]], depths, strict=True)
        )
        supervised = config.supervised_depths
        if config.aggregation_type == "max":
            self.aggregations = nn.ModuleList(GlobalMaxPool(depth) for depth in supervised)
            width = sum(supervised)
        else:
            factors = [2**k if config.pool_before_rnn else 1 for k in reversed(range(len(supervised)))]
            self.aggregations = nn.ModuleList(map(RecurrentPool, supervised, factors))
            width = 2 * RecurrentPool.HIDDEN * len(supervised)
        self.head = head_of(width, config.n_classes, config.output_dropout)

    @property
    def front_end_key(self) -> tuple[str, int]:
        """Networks with equal keys extract equal features."""
        return self.config.features, len(self.blocks)

    @property
    def example_samples(self) -> int:
        """The width of a signal that it takes, among others."""
        return SAMPLE_RATE

    def norm_groups(self) -> list[list[nn.Module]]:
        """The batch norms of the blocks and those of the head: groups in the order of the data."""
        return [
            [module for module in part.modules() if isinstance(module, _BatchNorm)]
            for part in (self.blocks, self.head)
        ]

    def pad_channels(self) -> None:
        """Pads the channels to what GPUs like, in place: the same function, see networks.padding."""
        padding.pad_channels(self)

    def record_training(self, autocast_type: torch.dtype | None = None) -> None:
        """From now on training passes on a GPU are CUDA graphs, see networks.graphs."""
        self.classify = graphs.GraphedTraining(self, autocast_type)

    def forward(self, signal: Tensor, lengths: Tensor | None = None, bands: Tensor | None = None) -> Tensor:
        """bands: of each clip's spectrogram, to hide in training, see ops.spec_augment."""
        features, n_frames = self.extract_features(signal, lengths)
        if bands is not None:
            features = hide_bands(features, n_frames, bands)
        return self.classify(features, n_frames)

    def extract_features(self, signal: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Returns features (batch, features, frames) and the frames of each clip (None: all)."""
        signal, lengths = extend_short_clips(
            signal, lengths, self.front_end.spec.min_samples(2 ** len(self.blocks))
        )
        features = self.front_end(signal, lengths)
        return features, None if lengths is None else self.front_end.spec.n_frames(lengths)

    def classify(self, features: Tensor, n_frames: Tensor | None) -> Tensor:
        """Logits (batch, classes) of what extract_features returned."""
        return self.classify_masked(features, *masked(features, n_frames))

    def classify_masked(self, features: Tensor, mask: Tensor | None, n_frames: Tensor | None) -> Tensor:
        """classify without a word to or from the CPU, but for `rnn`, which asks it for n_frames.

        mask: (batch, 1, frames) as frame_mask gives it; None: all frames are full.
        """
        vectors = self.through_blocks(features, mask, n_frames, self.aggregations)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would tie close scores
            return self.head(torch.cat(vectors, dim=1).to(self.head[1].weight.dtype))

    def through_blocks(
        self,
        features: Tensor,
        mask: Tensor | None,
        n_frames: Tensor | None,
        takes: Sequence[Callable[[Tensor, Tensor | None, Tensor | None], Tensor]],
    ) -> list[Tensor]:
        """What takes[i](map, mask, n_frames) makes of the map of the i-th block that feeds the head.

        A map is (batch, channels, [features,] frames), its channels perhaps padded; mask as frame_mask gives
        it, None: all frames are full.
        """
        x = self._input_map(features)
        if mask is not None:
            mask = mask.view(len(mask), *[1] * (x.dim() - 2), -1)  # (batch, 1, [1,] frames)
        taken = []
        for index, block in enumerate(self.blocks):
            x, mask = block(x, mask)
            n_frames = None if n_frames is None else n_frames // 2
            place = index - self.config.start_deep_supervision_on
            if place >= 0:
                taken.append(takes[place](x, mask, n_frames))
        return taken

    def _input_map(self, features: Tensor) -> Tensor:
        """(batch, channels, [features,] frames) that block 0 takes, with zeros in channels that only pad."""
        parts = [features]
        if self.config.kind == "2d":
            parts = [features[:, None]]
            if self.config.frequency_encoding:
                parts.append(self.frequency_ramp.to(features.dtype).expand_as(parts[0]))
        n_padding = self.blocks[0].conv.in_channels - sum(part.shape[1] for part in parts)
        if n_padding:
            of_one = parts[0][:, :1]
            parts.append(of_one.new_zeros(()).expand(len(of_one), n_padding, *of_one.shape[2:]))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def masked(features: Tensor, n_frames: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The mask of features (batch, features, frames), and n_frames on the CPU; None where all are full."""
    if n_frames is None:
        return None, None
    n_frames = n_frames.cpu()
    return frame_mask(n_frames, features), n_frames


def head_of(width: int, n_outputs: int, dropout: float) -> nn.Sequential:
    """BN - Linear - BN - PReLU - Dropout - Linear."""
    return nn.Sequential(
        BatchNorm1d(width),
        nn.Linear(width, width),
        BatchNorm1d(width),
        nn.PReLU(width),
        nn.Dropout(dropout),
        nn.Linear(width, n_outputs),
    )


def extend_short_clips(
    signal: Tensor, lengths: Tensor | None, min_samples: int
) -> tuple[Tensor, Tensor | None]:
    """Extends clips of fewer than min_samples with silence, which counts as signal from then on.

    signal (batch, samples), lengths (batch,) or None. Whatever lies behind a clip's length is
    silenced, and samples that belong to no clip are cut off. Returns lengths None where all are full.
    """
    if lengths is not None:
        if lengths.shape != signal.shape[:1]:
            raise ValueError(f"lengths: expected shape ({signal.shape[0]},), got {tuple(lengths.shape)}")
        # On the CPU the comparison is free; lengths on the device would stall it here.
        lengths = lengths.detach().cpu().long()
        if lengths.numel() and not 0 <= int(lengths.min()) <= int(lengths.max()) <= signal.shape[1]:
            raise ValueError(f"lengths: expected 0 to {signal.shape[1]} samples, got {lengths.tolist()}")
        full = bool((lengths == signal.shape[1]).all())
        if not full:
            signal = signal[:, : int(lengths.max())]
            ends = lengths[:, None].to(signal.device, non_blocking=True)
            signal = signal * (torch.arange(signal.shape[1], device=signal.device) < ends)
        lengths = lengths.clamp(min=min_samples)
    if signal.shape[1] < min_samples:
        signal = nn.functional.pad(signal, (0, min_samples - signal.shape[1]))
    if lengths is not None and bool((lengths == signal.shape[1]).all()):
        lengths = None
    return signal, lengths


def build_classifier(config: NetworkConfig) -> Classifier:
    """Returns a freshly initialised Classifier, front end included.

    Its 2D convolutions keep their weights, and so their maps, channels-last: the same numbers, and
    faster on CPUs.
    """
    classifier = Classifier(config)
    if config.kind == "2d":
        classifier.blocks.to(memory_format=torch.channels_last)
    return classifier
