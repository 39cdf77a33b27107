"""Clips augmented in batches: the samples of the data set that augments each one itself."""

import numpy as np
import pytest
import soundfile

from drawn_batches import CPU, EVERYTHING, rows_of, sample
from ops.batch_augmentation import to_device
from ops.sampling import SAMPLE_RATE
from toolkit.clips.loading import Clip, Segments, TrainingDataset, training_loader
from toolkit.system.runtime import Runtime


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    rows = []
    for k, n_samples in enumerate([1, 3000, 9000, 20_000, 33_000, 50_000]):
        one = sample(n_samples, k, k % 4)
        soundfile.write(folder / one.fname, one.audio, SAMPLE_RATE, subtype="FLOAT")
        rows.append(Clip(one.fname, folder / one.fname, n_samples, one.labels))
    return rows


def epoch_of(clips, workers, epoch, switch_off_on=9):
    dataset = TrainingDataset(clips, Segments(1.0, 3, 1), EVERYTHING, switch_off_on, on_device=True)
    loader, batches = training_loader(dataset, 4, Runtime(device=CPU, num_workers=workers))
    batches.set_epoch(epoch)
    moved = [to_device(batch, CPU) for batch in loader]
    return [(b["index"].tolist(), b["labels"].tolist(), [row.numpy() for row in rows_of(b)]) for b in moved]


def test_workers_do_not_change_samples(clips):
    for epoch in range(2):
        alone, one, two = (epoch_of(clips, workers, epoch) for workers in (0, 1, 2))
        for other in (one, two):
            assert [b[:2] for b in alone] == [b[:2] for b in other]
            rows, others = ([row.tobytes() for b in batches for row in b[2]] for batches in (alone, other))
            assert rows == others


def test_samples_are_those_of_the_same_data_set_augmented_by_itself(clips):
    by_itself = TrainingDataset(clips, Segments(1.0, 3, 1), EVERYTHING, 9)
    for index, labels, rows in epoch_of(clips, 0, 5):
        for clip, label, row in zip(index, labels, rows, strict=True):
            expected = by_itself[5, clip][1]
            assert label == expected.labels.tolist()
            np.testing.assert_allclose(row, expected.audio, atol=1e-5)


def test_from_switch_off_on_there_is_only_the_segment(clips):
    plain = TrainingDataset(clips, Segments(1.0, 3, 1))
    for index, _, rows in epoch_of(clips, 0, 1, switch_off_on=1):
        for clip, row in zip(index, rows, strict=True):
            assert row.tobytes() == plain[1, clip][1].audio.tobytes()
