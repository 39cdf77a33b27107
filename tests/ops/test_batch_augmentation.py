"""Batches augmented at once: the samples that the call on each one gives, and nothing waits."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from drawn_batches import CPU, EVERYTHING, rows_of, sample
from networks.classifiers import NetworkConfig, build_classifier
from ops.batch_augmentation import carry_out, mix_batch, to_device
from ops.batching import collate_draws, pad_collate
from ops.errors import DataError
from ops.losses import lsep_loss
from ops.samples import AugmentationDraw, EffectsDraw
from ops.transforms import Augmentation, mix


@pytest.mark.parametrize(
    "first, second, a, offset, expected",
    [
        ([1, 2, 3, 4, 5], [10, 20], 0.5, 0, [5.5, 11, 1.5, 2, 2.5]),
        ([1, 2, 3, 4, 5], [10, 20], 0.5, 2, [0.5, 1, 6.5, 12, 2.5]),
        ([10, 20], [1, 2, 3, 4, 5], 0.5, 3, [0.5, 1, 1.5, 7, 12.5]),  # either may be the longer
        ([1, 2, 3, 4, 5], [8], 0.25, 4, [0.25, 0.5, 0.75, 1, 7.25]),
        ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], 0.75, 0, [2, 2.5, 3, 3.5, 4]),
        ([4], [8], 0.25, 0, [7]),
    ],
)
def test_mix_of_a_batch_is_exact(first, second, a, offset, expected):
    """Between two clips that are not mixed."""
    segments = torch.tensor([9, *first, *second, 7, 8], dtype=torch.float32)
    before = segments.clone()
    draws = [AugmentationDraw(), AugmentationDraw(weight=a, offset=offset), AugmentationDraw()]
    signal, lengths = mix_batch(segments, [1, len(first), 2], [0, len(second), 0], draws)
    assert lengths.tolist() == [1, len(expected), 2]
    padding = [0] * (signal.shape[1] - 1)
    assert signal[0].tolist() == [9, *padding]
    assert signal[1].tolist() == expected + [0] * (signal.shape[1] - len(expected))
    assert signal[2].tolist() == ([7, 8] + padding)[: signal.shape[1]]
    assert segments.equal(before)


@pytest.mark.parametrize(
    "mixups",
    [
        ["add"] * 6,
        ["paste"] * 6,
        ["concat"] * 6,
        ["paste", "add", "concat"] * 2,
        ["concat", "paste", "add"] * 2,
    ],
)
def test_mix_of_a_batch_is_bit_by_bit_that_of_two_clips(mixups):
    """Longer and shorter, own and partner either; rows without a partner between."""
    rng = np.random.default_rng(0)
    sizes, partner_sizes = [300, 200, 999, 1, 500, 77], [200, 300, 0, 1, 500, 999]
    clips = [
        rng.normal(size=n).astype(np.float32) for pair in zip(sizes, partner_sizes, strict=True) for n in pair
    ]
    draws = [
        AugmentationDraw(
            weight=rng.uniform(0.4, 0.6),
            offset=n if mixup == "concat" else int(rng.integers(abs(n - m) + 1)) * (m > 0),
            mixup=mixup,
        )
        for n, m, mixup in zip(sizes, partner_sizes, mixups, strict=True)
    ]
    signal, _ = mix_batch(torch.from_numpy(np.concatenate(clips)), sizes, partner_sizes, draws)
    for row, own, partner, draw in zip(signal.numpy(), clips[::2], clips[1::2], draws, strict=True):
        expected = mix(own, partner, draw.weight, draw.offset, draw.mixup) if len(partner) else own
        assert row[: len(expected)].tobytes() == expected.tobytes()
        assert not row[len(expected) :].any()


def test_shuffling_and_silence_are_exact():
    segments = torch.arange(1, 13, dtype=torch.float32)
    draws = [
        AugmentationDraw(order=np.array([2, 0, 1]), chunk_samples=2),
        AugmentationDraw(silenced=(1, 2)),
        AugmentationDraw(order=np.array([1, 0]), chunk_samples=2, silenced=(0, 1)),  # in this order
    ]
    signal, lengths = carry_out(segments, [5, 4, 3], [0, 0, 0], draws)
    assert lengths.tolist() == [5, 4, 3]
    assert signal.tolist() == [[5, 1, 2, 3, 4], [6, 0, 0, 9, 0], [0, 10, 11, 0, 0]]


def test_without_a_draw_a_batch_is_only_padded():
    samples = [(3, sample(500, 1, 2)), (1, sample(70, 2)), (2, sample(1, 3, 1))]
    drawn = [(index, replace(one, draw=AugmentationDraw())) for index, one in samples]
    found, expected = to_device(collate_draws(drawn), CPU), pad_collate(samples)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].equal(value) if isinstance(value, torch.Tensor) else found[name] == value


def test_batch_of_the_workers_is_moved_as_it_is():
    batch = pad_collate([(0, sample(500)), (1, sample(70, 2))])
    moved = to_device(batch, CPU)
    assert moved.keys() == batch.keys() and all(moved[name] is batch[name] for name in batch)


@pytest.mark.parametrize("seed", range(4))
def test_batch_gets_what_the_call_gives_each_sample(seed):
    """All augmentations, clips of one sample to 1.4 s, partners longer and shorter."""
    given = [sample(n, k, k % 4) for k, n in enumerate([1, 40, 3000, 22_050, 22_051, 60_000])]
    partners = [sample(n, 10 + n, 3) for n in (1, 900, 23_000, 61_000)]

    def run(augment):
        generators = [np.random.default_rng([seed, k]) for k in range(len(given))]
        draw_partner = lambda rng: partners[rng.integers(len(partners))]  # noqa: E731
        return [augment(one, rng, draw_partner) for one, rng in zip(given, generators, strict=True)]

    expected, drawn = run(EVERYTHING), run(EVERYTHING.draw)
    batch = to_device(collate_draws(list(enumerate(drawn))), CPU)
    assert batch["fnames"] == [one.fname for one in given] and batch["index"].tolist() == [*range(6)]
    for row, labels, one in zip(rows_of(batch), batch["labels"], expected, strict=True):
        assert labels.tolist() == one.labels.tolist()
        assert len(row) == len(one.audio)
        np.testing.assert_allclose(row, one.audio, atol=1e-5)


def test_only_some_rows_change_and_all_keep_their_places():
    given = [replace(sample(9000, k), draw=AugmentationDraw()) for k in range(4)]
    draw = EffectsDraw(20, 30, 40, 100, 5, 0.93)
    given[2] = replace(given[2], draw=AugmentationDraw(effects=draw))
    batch = to_device(collate_draws(list(enumerate(given))), CPU)
    rows = rows_of(batch)
    for k in (0, 1, 3):
        assert rows[k].numpy().tobytes() == given[k].audio.tobytes()
    assert len(rows[2]) == round(9000 / draw.tempo) == batch["signal"].shape[1]


def test_drawing_ahead_needs_an_engine_whose_lengths_are_known():
    assert Augmentation(p_mixup=1).can_draw_ahead and EVERYTHING.can_draw_ahead
    sox = Augmentation(p_aug=0.1, effects="sox")
    assert not sox.can_draw_ahead
    with pytest.raises(ValueError, match="effects: expected 'torch' to draw ahead, got 'sox'"):
        sox.draw(sample(10), np.random.default_rng(0), None)


def test_unreadable_clips_are_left_out_and_a_batch_may_be_empty():
    error = DataError("broken")
    batch = to_device(collate_draws([(5, error), (2, replace(sample(10), draw=AugmentationDraw()))]), CPU)
    assert batch["errors"] == [(5, error)] and batch["index"].tolist() == [2]
    assert batch["signal"].shape == (1, 10)
    batch = to_device(collate_draws([(5, error)]), CPU)
    assert batch["signal"].shape == (0, 0) and batch["labels"] is None


class WaitingCopies(TorchDispatchMode):
    """Counts copies between devices that do not say non_blocking; on a GPU each would wait for it."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        name = str(function)
        if name.startswith("aten._to_copy") and result.device != args[0].device:
            if not kwargs.get("non_blocking"):
                self.found.append((name, args[0].shape, args[0].dtype))
        if name.startswith("aten.copy_") and args[0].device != args[1].device:
            if not (kwargs.get("non_blocking") or (len(args) > 2 and args[2])):
                self.found.append((name, args[0].shape, args[0].dtype))
        return result


@pytest.mark.parametrize("kind, features", [("2d", "mel_1024_512_32"), ("1d", "stft_256_128")])
def test_no_step_waits_for_the_device(kind, features, monkeypatch):
    """A step on the meta device: values that are asked for are errors, waiting copies are counted."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which meta does not have
    given = [sample(n, k, k % 4) for k, n in enumerate([1, 3000, 22_051, 60_000])]
    always = Augmentation(p_mixup=1, p_aug=0.6, effects="torch", p_shuffle=1, p_silence=1)
    drawn = [always.draw(one, np.random.default_rng(k), lambda _: given[2]) for k, one in enumerate(given)]
    assert len({one.draw.effects is None for one in drawn}) == 2
    model = build_classifier(NetworkConfig(kind, features, 4, 3, 6, 1.5, 1, "max", 0.2)).to("meta").train()
    with WaitingCopies() as waiting:
        batch = to_device(collate_draws(list(enumerate(drawn))), torch.device("meta"))
        lsep_loss(model(batch["signal"], batch["lengths"]), batch["labels"]).backward()
    assert waiting.found == []
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in model.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("aggregation_type", ["max", "rnn"])
def test_no_step_waits_for_the_gpu(aggregation_type):
    given = [sample(n, k, k % 4) for k, n in enumerate([1, 3000, 22_051, 60_000])]
    drawn = [
        EVERYTHING.draw(one, np.random.default_rng(k), lambda _: given[2]) for k, one in enumerate(given)
    ]
    config = NetworkConfig("2d", "mel_1024_512_32", 4, 3, 6, 1.5, 1, aggregation_type)
    model = build_classifier(config).cuda().train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, amsgrad=True, fused=True)
    for mode in ("default", "error"):  # the first step fills caches
        torch.cuda.set_sync_debug_mode(mode)
        try:
            batch = to_device(collate_draws(list(enumerate(drawn))), torch.device("cuda"))
            lsep_loss(model(batch["signal"], batch["lengths"]), batch["labels"]).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        finally:
            torch.cuda.set_sync_debug_mode("default")
