"""Mixed precision and compilation against the plain network."""

import pytest
import torch

from ops.losses import lsep_loss
from tiny_networks import LENGTHS, network, signal
from toolkit.system.runtime import Runtime, accelerate, missing_compiler, unaccelerated

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind, aggregation_type", [("2d", "max"), ("1d", "rnn")])
def test_mixed_precision_is_close_and_scores_and_weights_stay_float32(kind, aggregation_type):
    plain, fast = network(kind, aggregation_type), network(kind, aggregation_type)
    accelerate(fast, Runtime(device=CPU, amp=True))
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
    accelerate(fast, Runtime(device=CPU, amp=True))
    assert "classify" in vars(fast) and "classify" not in vars(other)


def test_within_unaccelerated_the_network_is_the_plain_one():
    plain, fast = network(), network()
    accelerate(fast, Runtime(device=CPU, amp=True))
    with torch.inference_mode():
        rounded = fast(signal(), LENGTHS)
        with unaccelerated(fast):
            assert torch.equal(fast(signal(), LENGTHS), plain(signal(), LENGTHS))
        assert torch.equal(fast(signal(), LENGTHS), rounded)


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason="needs a C++ compiler")
def test_compiled_network_gives_the_same_scores_for_any_length():
    torch._dynamo.reset()
    plain, fast = network(blocks=1), network(blocks=1)
    accelerate(fast, Runtime(device=CPU, compile=True))
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
