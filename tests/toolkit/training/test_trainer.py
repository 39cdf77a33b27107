"""The training loop on tiny linear models, where every step can be worked out."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ops.batching import TrainingBatches
from ops.errors import DataError
from ops.logits import sigmoid
from ops.losses import bce_loss
from toolkit.system.interruption import Interrupted, StopRequest
from toolkit.training.trainer import Trainer, predict


class TinyModel(nn.Module):
    """Logits are a linear map of the first three samples."""

    front_end_key = "first three samples"

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 2)
        self.dropout = nn.Dropout(0.0)

    def extract_features(self, signal, lengths):
        return signal[:, None, :3], None

    def classify(self, features, n_frames):
        return self.linear(self.dropout(features[:, 0]))

    def forward(self, signal, lengths):
        return self.classify(*self.extract_features(signal, lengths))


class SilentSummaries:
    """Keeps what is reported."""

    def __init__(self):
        self.steps = []

    def training_step(self, *values):
        self.steps.append(values)

    def spectrograms(self, *values):
        self.first = values


class FakeLoader:
    """Batches of the clips that a TrainingBatches names."""

    def __init__(self, batches, signal, labels):
        self.batches, self.signal, self.labels = batches, signal, labels

    def __iter__(self):
        for keys in self.batches:
            index = [i for _, i in keys]
            yield {
                "signal": self.signal[index],
                "lengths": torch.full((len(index),), self.signal.shape[1]),
                "labels": self.labels[index],
                "index": torch.tensor(index),
                "fnames": [f"{i}.wav" for i in index],
                "errors": [],
            }


def make(n_clips=10, batch_size=2, accumulation_steps=1, n_steps=100, model=None, signal=None):
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(n_clips, 3, generator=generator) if signal is None else signal
    labels = (torch.rand(n_clips, 2, generator=generator) < 0.5).float()
    labels[:, 0] = 1 - labels[:, 1]
    model = model or TinyModel()
    batches = TrainingBatches(n_clips, batch_size, seed=0, fold=0)
    stop = StopRequest()
    stop.requested_at, stop.forced = None, False
    trainer = Trainer(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        bce_loss,
        np.full(n_steps, 0.1),
        accumulation_steps,
        seed=0,
        device=torch.device("cpu"),
        stop=stop,
    )
    return trainer, FakeLoader(batches, signal, labels), batches


def run_epoch(trainer, loader, batches, log_interval=3, summaries=None):
    summaries = summaries or SilentSummaries()
    return trainer.train_epoch(loader, batches, log_interval, summaries, "epoch"), summaries


@pytest.mark.parametrize("accumulation_steps, expected", [(1, 5), (2, 3), (3, 2), (5, 1), (7, 1)])
def test_one_optimizer_step_a_group_and_one_after_the_last(accumulation_steps, expected):
    trainer, loader, batches = make(accumulation_steps=accumulation_steps)
    run_epoch(trainer, loader, batches)
    assert trainer.progress.step == expected


def test_accumulation_is_the_gradient_of_the_mean_over_the_group():
    """Five batches of two in one group: one SGD step by the mean of the five gradients."""
    trainer, loader, batches = make(accumulation_steps=5)
    reference = TinyModel()
    batches.set_epoch(0)
    losses = [bce_loss(reference(b["signal"], None), b["labels"]) for b in loader]
    (sum(losses) / 5).backward()
    expected = reference.linear.weight.detach() - 0.1 * reference.linear.weight.grad
    run_epoch(trainer, loader, batches)
    torch.testing.assert_close(trainer.model.linear.weight.detach(), expected)


def test_first_batch_of_a_group_does_not_step():
    """The published code stepped after the first batch of each group and dropped the last group."""
    trainer, loader, batches = make(n_clips=6, accumulation_steps=2)  # 3 batches: groups of 2 and 1
    steps_after, summaries = [], SilentSummaries()
    summaries.training_step = lambda *_: steps_after.append(trainer.progress.step)
    run_epoch(trainer, loader, batches, log_interval=1, summaries=summaries)
    assert steps_after == [0, 1, 2]


def test_each_step_takes_its_learning_rate():
    trainer, loader, batches = make(n_clips=4)
    trainer.rates = np.array([0.5, 0.25])
    seen = []
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda: (seen.append(trainer.optimizer.param_groups[0]["lr"]), step())
    run_epoch(trainer, loader, batches)
    assert seen == [0.5, 0.25]


def test_reported_loss_is_the_mean_over_clips_of_uneven_batches():
    trainer, loader, batches = make(n_clips=5, batch_size=2)
    trainer.rates = np.zeros(3)
    (loss, score), _ = run_epoch(trainer, loader, batches)
    expected = bce_loss(trainer.model(loader.signal, None), loader.labels)
    assert loss == pytest.approx(expected.item(), abs=1e-6)
    assert 0 < score <= 1


def test_non_finite_loss_names_epoch_batch_and_clips():
    signal = torch.randn(6, 3)
    signal[4] = math.inf
    trainer, loader, batches = make(n_clips=6, batch_size=1, signal=signal)
    trainer.progress.epoch = 7
    batches.set_epoch(7)
    position = [keys[0][1] for keys in batches].index(4)
    with pytest.raises(DataError, match=rf"epoch 7, batch {position}, with the clips 4.wav"):
        run_epoch(trainer, loader, batches)


def test_state_restored_in_the_middle_of_an_epoch_gives_the_same_weights():
    whole, loader, batches = make()
    for epoch in range(2):
        whole.progress.epoch, whole.progress.batch = epoch, 0
        run_epoch(whole, loader, batches)

    first, loader, batches = make()

    def stop_after_two():
        for number, batch in enumerate(loader):
            if number == 1:
                first.stop.requested_at = 0.0
            yield batch

    with pytest.raises(Interrupted):
        run_epoch(first, stop_after_two(), batches)
    assert first.progress.batch == 2

    second, loader, batches = make()
    second.load_state(first.state())
    (loss, _), _ = run_epoch(second, loader, batches)
    second.progress.epoch, second.progress.batch = 1, 0
    run_epoch(second, loader, batches)
    assert torch.equal(whole.model.linear.weight, second.model.linear.weight)
    assert second.progress.step == whole.progress.step
    assert second.progress.loss_sum == whole.progress.loss_sum


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
    logits, loss, errors = predict([model, model], loader, 2, torch.device("cpu"), "prediction")
    assert logits.shape == (2, 4, 2)
    expected = model(signal, None).detach().numpy()
    np.testing.assert_allclose(logits[1, [0, 1, 3]], expected[[0, 1, 3]], rtol=1e-6)
    assert np.isnan(logits[:, 2]).all() and errors == {2: error} and math.isnan(loss)


def test_probabilities_keep_apart_what_float32_would_tie():
    logits = np.array([[20.0, 21.0]], dtype=np.float32)
    first, second = sigmoid(logits)[0]
    assert first < second < 1


def test_a_clip_of_weight_zero_pulls_nowhere():
    """One step on two clips, the second with weight 0: half the step on the first alone."""

    class Weighted(FakeLoader):
        def __iter__(self):
            for batch in super().__iter__():
                yield {**batch, "weights": (batch["index"] == 0).float()}

    trainer, loader, batches = make(n_clips=2)
    reference = TinyModel()
    bce_loss(reference(loader.signal[:1], None), loader.labels[:1]).backward()
    expected = reference.linear.weight.detach() - 0.1 * reference.linear.weight.grad / 2
    run_epoch(trainer, Weighted(batches, loader.signal, loader.labels), batches)
    torch.testing.assert_close(trainer.model.linear.weight.detach(), expected)
