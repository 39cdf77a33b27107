"""Batches: every clip once, orders that (seed, fold, epoch) decide, zero-padding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ops.batching import PairedBatches, TrainingBatches, batches_by_length, pad_collate, rank_slice
from ops.errors import DataError
from ops.transforms import Sample


def sample(*audio, labels=(1, 0), fname="a.wav"):
    labels = None if labels is None else np.array(labels, dtype=np.float32)
    return Sample(np.array(audio, dtype=np.float32), labels, fname)


def batches_of(epoch=0, n_clips=20, batch_size=6, seed=1, fold=0):
    batches = TrainingBatches(n_clips, batch_size, seed, fold)
    batches.set_epoch(epoch)
    return list(batches)


@pytest.mark.parametrize(
    "n_clips, batch_size, sizes",
    [(20, 6, [6, 6, 6, 2]), (6, 6, [6]), (7, 6, [6, 1]), (1, 6, [1]), (3, 1, [1] * 3)],
)
def test_every_clip_once_an_epoch(n_clips, batch_size, sizes):
    batches = batches_of(3, n_clips, batch_size)
    assert [len(batch) for batch in batches] == sizes
    assert len(TrainingBatches(n_clips, batch_size, 1, 0)) == len(sizes)
    keys = [key for batch in batches for key in batch]
    assert sorted(keys) == [(3, index) for index in range(n_clips)]


def test_order_is_a_function_of_seed_fold_and_epoch():
    def order(**changes):
        return [index for batch in batches_of(**changes) for _, index in batch]

    assert order() == order() != sorted(order())
    others = [order(seed=2), order(fold=1), order(epoch=1), order(epoch=2)]
    assert len({tuple(other) for other in [order(), *others]}) == 5


def test_the_same_epoch_can_be_iterated_again():
    batches = TrainingBatches(10, 3, 0, 0)
    batches.set_epoch(4)
    assert list(batches) == list(batches)


@pytest.mark.parametrize("first_batch", [0, 1, 3, 4])
def test_resuming_leaves_out_the_batches_done(first_batch):
    batches = TrainingBatches(20, 6, seed=1, fold=0)
    batches.set_epoch(2, first_batch)
    assert list(batches) == batches_of(epoch=2)[first_batch:]
    assert len(batches) == 4 - first_batch
    batches.set_epoch(3)
    assert list(batches) == batches_of(epoch=3) and len(batches) == 4


def test_batches_by_length_exact():
    """Two clips of 10 s a batch: one of 20 s, two of 10 s, four of 5 s, and never more than eight."""
    ten = 441_000
    assert batches_by_length([5, 9, 1, 9, 7], 2) == [[1, 3, 4, 0, 2]]
    assert batches_by_length([ten, 3 * ten, ten, 2 * ten, ten // 2], 2) == [[1], [3], [0, 2], [4]]
    assert batches_by_length([ten // 2] * 5, 2) == [[0, 1, 2, 3], [4]]
    assert [len(batch) for batch in batches_by_length([9] * 20, 2)] == [8, 8, 4]
    assert batches_by_length([0], 4) == [[0]]
    assert batches_by_length([], 4) == []


def test_batches_by_length_waste_the_least():
    lengths = np.random.default_rng(0).integers(1, 30 * 44_100, 200)
    batches = batches_by_length(lengths, 8)
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    for batch, following in zip(batches, batches[1:], strict=False):
        assert lengths[batch].min() >= lengths[following].max()
    for batch in batches:
        padded = len(batch) * lengths[batch].max()
        assert padded <= 8 * 441_000 and len(batch) <= 32
    waste = sum(len(batch) * lengths[batch].max() for batch in batches) / lengths.sum()
    assert waste < 1.15


def test_pad_collate_exact():
    samples = [(7, sample(1, 2, 3)), (2, sample(4, labels=(0, 1), fname="b.wav")), (5, sample(5, 6))]
    batch = pad_collate(samples)
    assert batch["signal"].tolist() == [[1, 2, 3], [4, 0, 0], [5, 6, 0]]
    assert batch["lengths"].tolist() == [3, 1, 2]
    assert batch["labels"].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert batch["index"].tolist() == [7, 2, 5]
    assert batch["fnames"] == ["a.wav", "b.wav", "a.wav"]
    assert batch["errors"] == []
    types = {name: batch[name].dtype for name in ("signal", "lengths", "labels", "index")}
    assert types == {
        "signal": torch.float32,
        "lengths": torch.int64,
        "labels": torch.float32,
        "index": torch.int64,
    }


def test_pad_collate_of_one_clip_keeps_the_batch_axis():
    batch = pad_collate([(0, sample(1, 2))])
    assert batch["signal"].shape == (1, 2) and batch["labels"].shape == (1, 2)


def test_pad_collate_without_labels():
    assert pad_collate([(0, sample(1, labels=None))])["labels"] is None


def test_unreadable_clips_go_to_errors_alone():
    error = DataError("b.wav: cannot be read")
    batch = pad_collate([(4, error), (1, sample(1, 2)), (3, error)])
    assert batch["errors"] == [(4, error), (3, error)]
    assert batch["index"].tolist() == [1] and batch["fnames"] == ["a.wav"]
    assert batch["signal"].tolist() == [[1, 2]] and batch["labels"].shape == (1, 2)


def test_batch_of_nothing_but_errors():
    error = DataError("b.wav: cannot be read")
    batch = pad_collate([(4, error)])
    assert batch["errors"] == [(4, error)] and batch["fnames"] == []
    assert batch["signal"].shape[0] == batch["lengths"].shape[0] == batch["index"].shape[0] == 0
    assert batch["labels"] is None


def test_pad_collate_copies():
    given = sample(1, 2)
    pad_collate([(0, given)])["signal"][0, 0] = 9
    assert given.audio.tolist() == [1, 2]


def test_weights_come_along_where_they_differ_from_one():
    assert pad_collate([(0, sample(1)), (1, sample(2))])["weights"] is None
    weights = pad_collate([(0, sample(1)), (1, replace(sample(2), weight=0.25))])["weights"]
    assert weights.dtype == torch.float32 and weights.tolist() == [1.0, 0.25]


@pytest.mark.parametrize("n, n_ranks", [(0, 2), (1, 2), (5, 2), (7, 3), (8, 4), (3, 5)])
def test_shares_cover_everything_once_and_differ_by_one_at_most(n, n_ranks):
    parts = [list(range(n))[rank_slice(n, rank, n_ranks)] for rank in range(n_ranks)]
    assert [item for part in parts for item in part] == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_ranks_share_each_batch_of_a_single_process():
    whole = TrainingBatches(11, 4, seed=1, fold=0)
    ranks = [TrainingBatches(11, 4, 1, 0, rank, 2) for rank in range(2)]
    for number, (all_keys, *parts) in enumerate(zip(whole, *ranks, strict=True)):
        assert parts[0] + parts[1] == all_keys
        assert ranks[0].size(number) == len(all_keys)


def test_pairs_are_the_clips_of_single_batches_twice_with_keys_of_their_own():
    plain = batches_of(3, n_clips=7)
    pairs = PairedBatches(7, 6, seed=1, fold=0)
    pairs.set_epoch(3)
    for batch, singles in zip(pairs, plain, strict=True):
        assert batch == [(epoch, index) for _, index in singles for epoch in (6, 7)]
    assert [pairs.size(0), pairs.size(1)] == [12, 2] and pairs.n_batches == 2
    own = PairedBatches(7, 6, seed=1, fold=0, rank=1, n_ranks=2)
    own.set_epoch(3, first_batch=1)
    assert list(own) == [[]]  # the last clip's views both go to rank 0
