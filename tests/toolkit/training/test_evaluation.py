"""The evaluation loop on tiny linear models."""

import math

import numpy as np
import pytest
import soundfile
import torch

from ops.errors import DataError
from tiny_models import TinyModel
from toolkit.clips.loading import Clip
from toolkit.system.runtime import Runtime
from toolkit.training.evaluation import Evaluator, portion_of


class EvaluationLoader:
    def __init__(self, batches, n_clips):
        self.batches, self.dataset = batches, range(n_clips)

    def __iter__(self):
        return iter(self.batches)


def evaluation_batch(index, signal, errors=()):
    return {
        "signal": signal,
        "lengths": torch.full((len(index),), 3),
        "labels": None,
        "index": torch.tensor(index, dtype=torch.long),
        "fnames": [str(i) for i in index],
        "errors": list(errors),
    }


def test_predictions_come_in_the_tables_order_and_name_unreadable_clips():
    signal = torch.randn(4, 3)
    error = DataError("broken")
    loader = EvaluationLoader(
        [evaluation_batch([3, 0], signal[[3, 0]], [(2, error)]), evaluation_batch([1], signal[[1]])], 4
    )
    model = TinyModel()
    found = Evaluator([model, model], 2, torch.device("cpu")).score(loader, "prediction")
    logits, loss, errors = found.logits, found.loss, found.errors
    assert logits.shape == (2, 4, 2)
    expected = model(signal, None).detach().numpy()
    np.testing.assert_allclose(logits[1, [0, 1, 3]], expected[[0, 1, 3]], rtol=1e-6)
    assert np.isnan(logits[:, 2]).all() and errors == {2: error} and math.isnan(loss)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_clip_comes_once_the_longest_first_and_errors_beside_them(tmp_path, workers):
    table = []
    for row, n_samples in enumerate([2205, 6000, 7000, 8000, 8000, 9000, 10000, 12000, 15435]):
        path = tmp_path / f"{row}.wav"
        soundfile.write(path, np.zeros(n_samples), 44100)
        labels = None if row < 3 else np.eye(3, dtype=np.float32)[row % 3]
        table.append(Clip(path.name, path, n_samples, labels))
    table[3].path.write_bytes(b"no sound in here" * 100)
    runtime = Runtime(device=torch.device("cpu"), num_workers=workers)
    portion = portion_of(table, 1, runtime)  # of such short clips four a batch
    batches = list(portion.loader)
    rows = [[portion.rows[index] for index in batch["index"].tolist()] for batch in batches]
    assert sum(rows, []) == [8, 7, 6, 5, 4, 2, 1, 0]
    assert [portion.rows[index] for batch in batches for index, _ in batch["errors"]] == [3]
    for batch, own in zip(batches, rows, strict=True):
        assert batch["fnames"] == [table[row].fname for row in own]
        assert batch["lengths"].tolist() == [table[row].n_samples for row in own]
    assert batches[0]["labels"].shape == (4, 3) and batches[-1]["labels"] is None
