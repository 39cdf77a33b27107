"""Networks: structure against a plain rebuild, configs, precision, devices."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from networks.classifiers import NetworkConfig, build_classifier
from tiny_networks import (
    CONV,
    NORM,
    PRELU,
    clips_of,
    each_aggregation,
    each_features,
    each_kind,
    noise,
    padded,
    tiny,
    trained,
)

POOL = (nn.MaxPool1d, nn.MaxPool2d)
RESIDUAL = [CONV, NORM, PRELU, CONV, NORM, PRELU, CONV, NORM, PRELU]
BLOCK = [NORM, CONV, POOL, NORM, PRELU, *RESIDUAL]
RECURRENT = [(nn.LayerNorm,), (nn.GRU,)]
HEAD = [NORM, (nn.Linear,), NORM, PRELU, (nn.Dropout,), (nn.Linear,)]


def executed_layers(model, signal):
    """The torch layers of one forward pass, in the order in which they ran."""
    layers, hooks = [], []
    for module in model.modules():
        if isinstance(module, sum([*BLOCK, *RECURRENT, *HEAD], ())):
            hooks.append(module.register_forward_hook(lambda layer, *_: layers.append(layer)))
    with torch.no_grad():
        model(signal)
    for hook in hooks:
        hook.remove()
    return layers


def normalise(x, layer):
    shape = (1, -1, *[1] * (x.dim() - 2))
    mean, variance, weight, bias = (
        value.double().view(shape)
        for value in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / (variance + layer.eps).sqrt() * weight + bias


def activate(x, layer):
    slope = layer.weight.double().view(1, -1, *[1] * (x.dim() - 2))
    return torch.where(x > 0, x, slope * x)


def convolve(x, layer):
    function = functional.conv1d if x.dim() == 3 else functional.conv2d
    return function(x, layer.weight.double(), layer.bias.double(), padding=layer.weight.shape[-1] // 2)


def plain_logits(model, signal):
    """The network's definition, spelled out in float64 for clips without padding."""
    layers = iter(executed_layers(model, signal))
    config = model.config
    x = model.front_end(signal).double()
    if config.kind == "2d":
        ramp = torch.linspace(-1, 1, x.shape[1], dtype=torch.float64)[:, None].expand_as(x)
        x = torch.stack([x, ramp], dim=1)
    vectors = []
    for block in range(config.num_conv_blocks):
        x = convolve(normalise(x, next(layers)), next(layers))
        next(layers)
        x = (functional.max_pool1d if config.kind == "1d" else functional.max_pool2d)(x, 2)
        x = activate(normalise(x, next(layers)), next(layers))
        y = activate(normalise(convolve(x, next(layers)), next(layers)), next(layers))
        y = activate(normalise(convolve(y, next(layers)), next(layers)), next(layers))
        y = normalise(convolve(y, next(layers)), next(layers))
        x = activate(x + y, next(layers))
        if block < config.start_deep_supervision_on:
            continue
        if config.aggregation_type == "max":
            vectors.append(x.flatten(2).max(dim=2).values)
        else:
            frames = (x if config.kind == "1d" else x.mean(2)).transpose(1, 2)
            norm, gru = (copy.deepcopy(next(layers)).double() for _ in range(2))
            outputs, _ = gru(norm(frames))  # (batch, frames, 2 * 128)
            vectors.append(torch.cat([outputs[:, -1, :128], outputs[:, 0, 128:]], dim=1))
    x = normalise(torch.cat(vectors, dim=1), next(layers))
    x = functional.linear(x, *(p.double() for p in next(layers).parameters()))
    x = activate(normalise(x, next(layers)), next(layers))
    next(layers)
    return functional.linear(x, *(p.double() for p in next(layers).parameters()))


@pytest.mark.parametrize("start", [0, 2])
@each_aggregation
@each_kind
def test_layers_run_in_the_order_of_the_definition(kind, aggregation, start):
    model = trained(tiny(kind, aggregation, start_deep_supervision_on=start))
    expected = []
    for block in range(3):
        expected += BLOCK + (RECURRENT if aggregation == "rnn" and block >= start else [])
    layers = executed_layers(model, noise(2, 2000))
    assert len(layers) == len(expected + HEAD)
    for layer, types in zip(layers, expected + HEAD, strict=True):
        assert isinstance(layer, types)


@pytest.mark.parametrize("start", [0, 2])
@each_aggregation
@each_kind
@each_features
def test_equals_a_plain_rebuild(kind, aggregation, features, start):
    model = trained(tiny(kind, aggregation, features, start_deep_supervision_on=start))
    signal = noise(2, 2500)
    with torch.no_grad():
        torch.testing.assert_close(model(signal).double(), plain_logits(model, signal), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("growth, base", [(1.5, 4), (1.3, 7), (2.0, 3), (0.8, 9)])
@each_kind
def test_channels_kernels_and_slopes(kind, growth, base):
    model = build_classifier(tiny(kind, growth_rate=growth, conv_base_depth=base))
    depths = [int(growth**k * base) for k in range(3)]
    convolutions = [m for m in model.modules() if isinstance(m, CONV)]
    entry = 2 if kind == "2d" else 32
    expected = []
    for depth_in, depth in zip([entry, *depths], depths, strict=False):
        expected += [(depth, depth_in, 3), (depth, depth, 1), (depth, depth, 3), (depth, depth, 1)]
    found = [(c.out_channels, c.in_channels, c.kernel_size[0]) for c in convolutions]
    assert found == expected
    for convolution in convolutions:
        assert type(convolution) is CONV[kind == "2d"]
        assert len(set(convolution.kernel_size)) == 1 and set(convolution.stride) == {1}
        assert set(convolution.padding) == {convolution.kernel_size[0] // 2}
        assert convolution.bias is not None
    slopes = [m.num_parameters for m in model.modules() if isinstance(m, nn.PReLU)]
    assert slopes == [d for d in depths for _ in range(4)] + [sum(depths[1:])]
    pools = [m for m in model.modules() if isinstance(m, POOL)]
    assert [pool.kernel_size for pool in pools] == [2, 2, 2]


@pytest.mark.parametrize(
    "aggregation, start, width",
    [("max", 1, 75 + 112 + 168 + 253), ("max", 4, 253), ("rnn", 1, 4 * 256), ("rnn", 3, 2 * 256)],
)
@each_kind
def test_head_of_the_published_size(kind, aggregation, start, width):
    config = NetworkConfig(
        kind=kind,
        features="mel_2048_1024_128",
        n_classes=80,
        num_conv_blocks=5,
        conv_base_depth=50,
        growth_rate=1.5,
        start_deep_supervision_on=start,
        aggregation_type=aggregation,
        output_dropout=0.25,
    )
    assert config.depths == [50, 75, 112, 168, 253]
    model = build_classifier(config)
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linears] == [(width, width), (width, 80)]
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25]
    grus = [m for m in model.modules() if isinstance(m, nn.GRU)]
    assert len(grus) == (5 - start if aggregation == "rnn" else 0)
    assert all(m.hidden_size == 128 and m.bidirectional and m.num_layers == 1 for m in grus)


def test_2d_input_is_the_spectrogram_and_the_frequency_ramp():
    model = build_classifier(tiny("2d")).eval()
    signal, seen = noise(2, 3000), []
    first = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(signal)
    assert seen[0].shape[:2] == (2, 2)
    torch.testing.assert_close(seen[0][:, 0], model.front_end(signal))
    ramp = torch.tensor([-1 + 2 * k / 31 for k in range(32)])
    torch.testing.assert_close(seen[0][:, 1], ramp[:, None].expand_as(seen[0][:, 1]))


@pytest.mark.parametrize("n_samples", [1, 300, 896, 4000])
@pytest.mark.parametrize("batch", [1, 3])
@each_aggregation
@each_kind
def test_logits_are_batch_by_classes(kind, aggregation, batch, n_samples):
    for n_classes in (1, 5):
        model = build_classifier(tiny(kind, aggregation, n_classes=n_classes)).eval()
        assert model(noise(batch, n_samples)).shape == (batch, n_classes)


@pytest.mark.parametrize("n_samples", [0, 1, 300, 895])
@each_aggregation
@each_kind
def test_short_clip_is_extended_with_silence_that_counts(kind, aggregation, n_samples):
    """Three blocks need 8 frames: 7 hops of 128 samples."""
    model = trained(tiny(kind, aggregation))
    signal = functional.pad(noise(1, n_samples), (0, 896 - n_samples))
    with torch.no_grad():
        expected = plain_logits(model, signal).float()
        in_a_batch = model(*padded([noise(5000), noise(1, n_samples)[0]]))[1:]
        only_short = model(signal[:, : max(n_samples, 1)], torch.tensor([n_samples]))
    torch.testing.assert_close(in_a_batch, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(only_short, expected, rtol=1e-4, atol=1e-4)


@each_aggregation
@each_kind
def test_silence_gives_finite_logits(kind, aggregation):
    model = build_classifier(tiny(kind, aggregation)).eval()
    logits = model(torch.zeros(2, 3000), torch.tensor([3000, 10]))
    assert logits.isfinite().all()


@each_aggregation
@each_kind
def test_state_dict_rebuilds_the_network(kind, aggregation):
    model, signal = trained(tiny(kind, aggregation)), noise(2, 3000)
    rebuilt = build_classifier(tiny(kind, aggregation)).eval()
    assert not torch.equal(rebuilt(signal), model(signal))
    rebuilt.load_state_dict(model.state_dict())
    torch.testing.assert_close(rebuilt(signal), model(signal), rtol=0, atol=1e-6)
    assert not [name for name in model.state_dict() if "front_end" in name]


@each_kind
def test_every_tensor_moves_with_the_network(kind):
    model = build_classifier(tiny(kind)).to("meta")
    assert all(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])


@each_aggregation
@each_kind
def test_mixed_precision_stays_close(kind, aggregation):
    model = build_classifier(tiny(kind, aggregation)).eval()
    signal, lengths = padded(clips_of(300, 5000))
    with torch.no_grad():
        expected = model(signal, lengths)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(signal, lengths)
    torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    "name, value",
    [
        *[("kind", "3d"), ("features", "mel_256"), ("n_classes", 0), ("num_conv_blocks", 0)],
        *[("conv_base_depth", 0), ("growth_rate", 0.0), ("growth_rate", 0.1)],
        *[("start_deep_supervision_on", 3), ("start_deep_supervision_on", -1)],
        *[("aggregation_type", "mean"), ("output_dropout", 1.0), ("output_dropout", -0.1)],
        *[("features", "mel_256_128_7")],  # 2D: three blocks leave no feature of 7
    ],
)
def test_impossible_config_names_the_field(name, value):
    with pytest.raises(ValueError, match=f"^{name}: .*expected"):
        tiny(**{"kind": "2d", name: value})


@pytest.mark.gpu
@each_aggregation
@each_kind
def test_gpu_equals_cpu(kind, aggregation):
    model = trained(tiny(kind, aggregation))
    signal, lengths = padded(clips_of(300, 9000, 4001))
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        expected = model(signal, lengths)
        logits = model.cuda()(signal.cuda(), lengths)
    torch.testing.assert_close(logits.cpu(), expected, rtol=1e-3, atol=1e-3)
