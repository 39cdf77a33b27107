"""Tiny networks whose weights and statistics are off their initial values, and signals for them."""

import pytest
import torch
from torch import nn

from networks.classifiers import NetworkConfig, build_classifier

LENGTHS = torch.tensor([20_000, 33_333, 9_000])


def network(kind: str = "2d", aggregation_type: str = "max", scale_sign: float = 1.0, blocks: int = 3):
    """A network whose BatchNorms have seen some data, with scales of either sign or all positive."""
    torch.manual_seed(0)
    config = NetworkConfig(kind, "mel_1024_512_32", 5, blocks, 12, 1.5, blocks - 1, aggregation_type)
    model = build_classifier(config)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, NORM):
            size = module.weight.shape
            module.weight.data = 0.5 + torch.rand(size, generator=generator)
            module.weight.data[0] *= scale_sign
            module.bias.data = torch.randn(size, generator=generator) / 4
            module.running_mean = torch.randn(size, generator=generator)
            module.running_var = 0.5 + torch.rand(size, generator=generator)
    return model.eval()


def signal() -> torch.Tensor:
    return 0.2 * torch.randn(3, 33_333, generator=torch.Generator().manual_seed(2))


KINDS, AGGREGATIONS, FEATURES = ["1d", "2d"], ["max", "rnn"], ["mel_256_128_32", "stft_64_32"]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_aggregation = pytest.mark.parametrize("aggregation", AGGREGATIONS)
each_features = pytest.mark.parametrize("features", FEATURES)

CONV, NORM, PRELU = (nn.Conv1d, nn.Conv2d), (nn.BatchNorm1d, nn.BatchNorm2d), (nn.PReLU,)


def tiny(kind, aggregation="max", features="mel_256_128_32", **changes):
    values = dict(n_classes=3, num_conv_blocks=3, conv_base_depth=4, growth_rate=1.5)
    values |= dict(start_deep_supervision_on=1, aggregation_type=aggregation) | changes
    return NetworkConfig(kind=kind, features=features, **values)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def trained(config, seed=0):
    """A network in evaluation with every weight and running statistic off its initial value."""
    torch.manual_seed(seed)
    model = build_classifier(config).train()
    for module in model.modules():
        if isinstance(module, NORM + PRELU + (nn.LayerNorm,)):
            for parameter in module.parameters(recurse=False):
                nn.init.uniform_(parameter, 0.3, 1.2)
        if isinstance(module, NORM):
            module.momentum = 0.9
    with torch.no_grad():
        model(torch.stack(clips_of(*[3000] * 8)))
    return model.eval()


def padded(clips):
    lengths = torch.tensor([len(clip) for clip in clips])
    return nn.utils.rnn.pad_sequence(clips, batch_first=True), lengths


def clips_of(*lengths):
    """Noise and tones from loud to faint, no two alike."""
    clips = []
    for i, n in enumerate(lengths):
        tone = torch.sin(2 * torch.pi * 300 * 2 ** (i % 6) * torch.arange(n) / 44100)
        clips.append((tone + 0.3 * noise(n, seed=i)) * 0.6 * 0.2 ** (i % 3))
    return clips
