"""Mixed precision, compilation and folded BatchNorms against the plain network."""

import json

import pytest
import torch

import train_2d_cnn
from networks.classifiers import NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops.losses import lsep_loss
from toolkit.system.runtime import accelerate, missing_compiler

LENGTHS = torch.tensor([20_000, 33_333, 9_000])


def network(kind: str = "2d", aggregation_type: str = "max", scale_sign: float = 1.0, blocks: int = 3):
    """A network whose BatchNorms have seen some data, with scales of either sign or all positive."""
    torch.manual_seed(0)
    config = NetworkConfig(kind, "mel_1024_512_32", 5, blocks, 12, 1.5, blocks - 1, aggregation_type)
    model = build_classifier(config)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            size = module.weight.shape
            module.weight.data = 0.5 + torch.rand(size, generator=generator)
            module.weight.data[0] *= scale_sign
            module.bias.data = torch.randn(size, generator=generator) / 4
            module.running_mean = torch.randn(size, generator=generator)
            module.running_var = 0.5 + torch.rand(size, generator=generator)
    return model.eval()


def signal() -> torch.Tensor:
    return 0.2 * torch.randn(3, 33_333, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("scale_sign", [1.0, -1.0])
@torch.inference_mode()
def test_folded_batch_norms_give_the_same_scores(kind, scale_sign):
    model = network(kind, scale_sign=scale_sign)
    expected = model(signal(), LENGTHS)
    before = sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules())
    fold_batch_norms(model)
    after = sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules())
    # Of 5 a block: 4 where all scales are positive, else the one behind the pooling stays, too.
    assert before - after == 3 * (4 if scale_sign > 0 else 3)
    torch.testing.assert_close(model(signal(), LENGTHS), expected, rtol=1e-4, atol=1e-4)


def test_a_training_network_is_not_folded():
    with pytest.raises(ValueError, match="in evaluation"):
        fold_batch_norms(network().train())


@pytest.mark.parametrize("kind, aggregation_type", [("2d", "max"), ("1d", "rnn")])
def test_mixed_precision_is_close_and_scores_and_weights_stay_float32(kind, aggregation_type):
    plain, fast = network(kind, aggregation_type), network(kind, aggregation_type)
    accelerate(fast, torch.device("cpu"), amp=True, compile_network=False)
    with torch.inference_mode():
        expected, logits = plain(signal(), LENGTHS), fast(signal(), LENGTHS)
    assert logits.dtype == torch.float32 and not torch.equal(logits, expected)
    # Rounded to bfloat16 the scores would have 8 bits each; here they have as many as they need.
    assert not torch.equal(logits, logits.bfloat16().float())
    torch.testing.assert_close(logits, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
    assert fast.state_dict().keys() == plain.state_dict().keys()

    targets = torch.eye(3, 5)
    for model in (plain, fast):
        lsep_loss(model(signal(), LENGTHS), targets).backward()
    grads = [torch.cat([p.grad.flatten() for p in model.parameters()]) for model in (plain, fast)]
    assert grads[1].dtype == torch.float32 and torch.isfinite(grads[1]).all()
    assert torch.cosine_similarity(*grads, dim=0) > 0.99


def test_classify_of_other_networks_stays_as_it_is():
    fast, other = network(), network()
    accelerate(fast, torch.device("cpu"), amp=True, compile_network=False)
    assert "classify" in vars(fast) and "classify" not in vars(other)


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason="needs a C++ compiler")
def test_compiled_network_gives_the_same_scores_for_any_length():
    torch._dynamo.reset()
    plain, fast = network(blocks=1), network(blocks=1)
    accelerate(fast, torch.device("cpu"), amp=False, compile_network=True)
    with torch.inference_mode():
        for n_clips in (3, 2):
            batch = signal()[:n_clips, : 10_000 * n_clips]
            lengths = LENGTHS[:n_clips].clamp(max=batch.shape[1])
            torch.testing.assert_close(fast(batch, lengths), plain(batch, lengths), rtol=1e-4, atol=1e-4)


def test_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "apt-get install g++" in missing_compiler()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler is not on the PATH" in missing_compiler()


def test_training_in_mixed_precision(training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", "--amp", epochs=1))
    assert json.loads((only_experiment() / "config.json").read_text())["train"]["amp"] is True
    assert 0 < json.loads((only_experiment() / "results.json").read_text())["fold0"]["metric"] <= 1
    checkpoint = torch.load(only_experiment() / "checkpoints/fold_0/last.pth", weights_only=True)
    assert all(v.dtype == torch.float32 for v in checkpoint["model"].values() if v.is_floating_point())
