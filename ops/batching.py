"""Which clips go into a batch together, and how samples become one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ops.errors import DataError
from ops.samples import Sample
from ops.sampling import SAMPLE_RATE

REFERENCE_SAMPLES = 10 * SAMPLE_RATE
MAX_CLIPS_FACTOR = 4  # times batch_size


def rank_slice(n: int, rank: int, n_ranks: int) -> slice:
    """Which of n items in a row belong to a rank: equally many, and one more for the first n % n_ranks."""
    each, more = divmod(n, n_ranks)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))


class TrainingBatches:
    """Batches of (epoch, index) keys: every clip once an epoch, in an order of (seed, fold, epoch).

    Of n_ranks processes each gets its rank_slice of every batch, maybe none of a small last one.

    Keys carry the epoch, so that loader workers, which have copies of the data set, need no state.
    Call set_epoch before each epoch; first_batch > 0 leaves out the batches that a resumed run did.
    """

    def __init__(self, n_clips: int, batch_size: int, seed: int, fold: int, rank: int = 0, n_ranks: int = 1):
        self.n_clips, self.batch_size, self.seed, self.fold = n_clips, batch_size, seed, fold
        self.rank, self.n_ranks = rank, n_ranks
        self.n_batches = -(-n_clips // batch_size)
        self.set_epoch(0)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        self.epoch, self.first_batch = epoch, first_batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng([self.seed, self.fold, self.epoch]).permutation(self.n_clips)
        for batch in range(self.first_batch, self.n_batches):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            own = indices[rank_slice(len(indices), self.rank, self.n_ranks)]
            yield [(self.epoch, int(index)) for index in own]

    def size(self, batch: int) -> int:
        """Clips of a batch of the epoch, over all ranks."""
        return min(self.batch_size, self.n_clips - batch * self.batch_size)

    def __len__(self) -> int:
        return self.n_batches - self.first_batch


class PairedBatches(TrainingBatches):
    """Batches of two views of each clip, one behind the other: each epoch's are drawn as two epochs' samples.

    Those of epoch e have the keys (2 e, index) and (2 e + 1, index); batch_size counts clips.
    """

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in super().__iter__():
            yield [(2 * epoch + view, index) for epoch, index in batch for view in (0, 1)]

    def size(self, batch: int) -> int:
        """Views of a batch of the epoch, over all ranks."""
        return 2 * super().size(batch)


def batches_by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches of indices, longest clips first, so that clips of similar length share a batch.

    A batch holds what batch_size clips of 10 s hold, in samples of its longest clip: fewer clips where
    they are longer (at least one), more where they are shorter (at most MAX_CLIPS_FACTOR * batch_size). So
    memory depends on batch_size alone, and short clips do not come in tiny batches. The longest clips
    come first: memory runs out in the first second or not at all.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    budget = batch_size * REFERENCE_SAMPLES
    batches, start = [], 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        count = min(max(budget // longest, 1), MAX_CLIPS_FACTOR * batch_size)
        batches.append(order[start : start + count].tolist())
        start += count
    return batches


def pad_collate(samples: list[tuple[int, Sample | DataError]]) -> dict:
    """(index, sample) pairs -> one batch, audio zero-padded at the end to the longest.

    Returns a dict: signal (batch, samples) float32, lengths (batch,) int64, labels (batch, classes)
    or None, weights (batch,) float32 or None where all are 1, bands (batch, 2, n, 2) of ops.spec_augment
    or None where none is hidden, index (batch,) int64, fnames list, and
    errors: the DataErrors of unreadable clips, which are left out of everything else. (An exception in
    a worker would arrive as a traceback.)
    """
    described, good = _describe(samples)
    lengths = [len(sample.audio) for sample in good]
    signal = torch.zeros(len(good), max(lengths, default=0))
    for row, sample in enumerate(good):
        signal[row, : lengths[row]] = torch.from_numpy(sample.audio)
    return {"signal": signal, "lengths": torch.tensor(lengths, dtype=torch.long), **described}


def collate_draws(samples: list[tuple[int, Sample | DataError]]) -> dict:
    """(index, sample with its draw) pairs -> one batch for ops.batch_augmentation.to_device.

    Returns a dict: segments (samples,) float32, each clip followed by its partner where it has one;
    sizes, each clip's own samples; draws, without the partners' audio, partner_sizes in its place (0:
    none); and labels, weights, bands, index, fnames and errors as pad_collate gives them.
    """
    described, good = _describe(samples)
    pairs = [(sample.audio, sample.draw.partner) for sample in good]
    audio = [segment for pair in pairs for segment in pair if segment is not None]
    return {
        "segments": torch.from_numpy(np.concatenate(audio)) if audio else torch.zeros(0),
        "sizes": [len(own) for own, _ in pairs],
        "partner_sizes": [0 if partner is None else len(partner) for _, partner in pairs],
        "draws": [sample.draw.without_audio() for sample in good],
        **described,
    }


def _describe(samples: list[tuple[int, Sample | DataError]]) -> tuple[dict, list[Sample]]:
    """A batch but for its audio (labels, weights, bands, index, fnames, errors), and its readable samples."""
    errors = [(index, sample) for index, sample in samples if isinstance(sample, DataError)]
    good = [(index, sample) for index, sample in samples if not isinstance(sample, DataError)]
    labels = [sample.labels for _, sample in good]
    known = bool(labels) and all(label is not None for label in labels)
    weights = [sample.weight for _, sample in good]
    bands = [sample.bands for _, sample in good]
    described = {
        "labels": torch.from_numpy(np.stack(labels)) if known else None,
        "weights": torch.tensor(weights) if any(weight != 1 for weight in weights) else None,
        "bands": _stack_bands(bands) if any(x is not None for x in bands) else None,
        "index": torch.tensor([index for index, _ in good], dtype=torch.long),
        "fnames": [sample.fname for _, sample in good],
        "errors": errors,
    }
    return described, [sample for _, sample in good]


def _stack_bands(bands: list[np.ndarray | None]) -> torch.Tensor:
    """(batch, 2, n, 2), of samples without bands those of no width."""
    nothing = np.zeros_like(next(x for x in bands if x is not None))
    return torch.from_numpy(np.stack([nothing if x is None else x for x in bands]))
