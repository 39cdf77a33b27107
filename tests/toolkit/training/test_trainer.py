"""The training loop on tiny linear models, where every step can be worked out."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ops.batching import TrainingBatches
from ops.errors import DataError
from ops.losses import bce_loss
from ops.optimization import make_optimizer
from tiny_models import TinyModel
from tiny_networks import noise, tiny, trained
from toolkit.system.interruption import Interrupted, StopRequest
from toolkit.training.trainer import Recipe, Trainer


class SilentSummaries:
    """Keeps what is reported."""

    def __init__(self):
        self.steps = []

    def training_step(self, *values):
        self.steps.append(values)

    def spectrograms(self, *values):
        self.first = values


class FakeBatches:
    """Batches of the clips that a TrainingBatches names."""

    def __init__(self, order, signal, labels):
        self.order, self.signal, self.labels = order, signal, labels

    def __iter__(self):
        for keys in self.order:
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
    trainer = Trainer(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        Recipe(bce_loss, np.full(n_steps, 0.1), accumulation_steps, seed=0),
        torch.device("cpu"),
        StopRequest(),
    )
    return trainer, FakeBatches(TrainingBatches(n_clips, batch_size, seed=0, fold=0), signal, labels)


def run_epoch(trainer, batches, log_interval=3, summaries=None):
    summaries = summaries or SilentSummaries()
    return trainer.train_epoch(batches, log_interval, summaries, "epoch"), summaries


@pytest.mark.parametrize("accumulation_steps, expected", [(1, 5), (2, 3), (3, 2), (5, 1), (7, 1)])
def test_one_optimizer_step_a_group_and_one_after_the_last(accumulation_steps, expected):
    trainer, batches = make(accumulation_steps=accumulation_steps)
    run_epoch(trainer, batches)
    assert trainer.progress.step == expected


def test_accumulation_is_the_gradient_of_the_mean_over_the_group():
    """Five batches of two in one group: one SGD step by the mean of the five gradients."""
    trainer, batches = make(accumulation_steps=5)
    reference = TinyModel()
    batches.order.set_epoch(0)
    losses = [bce_loss(reference(b["signal"], None), b["labels"]) for b in batches]
    (sum(losses) / 5).backward()
    expected = reference.linear.weight.detach() - 0.1 * reference.linear.weight.grad
    run_epoch(trainer, batches)
    torch.testing.assert_close(trainer.model.linear.weight.detach(), expected)


def test_first_batch_of_a_group_does_not_step():
    """The published code stepped after the first batch of each group and dropped the last group."""
    trainer, batches = make(n_clips=6, accumulation_steps=2)  # 3 batches: groups of 2 and 1
    steps_after, summaries = [], SilentSummaries()
    summaries.training_step = lambda *_: steps_after.append(trainer.progress.step)
    run_epoch(trainer, batches, log_interval=1, summaries=summaries)
    assert steps_after == [0, 1, 2]


def test_each_step_takes_its_learning_rate():
    trainer, batches = make(n_clips=4)
    trainer.recipe = replace(trainer.recipe, rates=np.array([0.5, 0.25]))
    seen = []
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda: (seen.append(trainer.optimizer.param_groups[0]["lr"]), step())
    run_epoch(trainer, batches)
    assert seen == [0.5, 0.25]


def test_reported_loss_is_the_mean_over_clips_of_uneven_batches():
    trainer, batches = make(n_clips=5, batch_size=2)
    trainer.recipe = replace(trainer.recipe, rates=np.zeros(3))
    (loss, score), _ = run_epoch(trainer, batches)
    expected = bce_loss(trainer.model(batches.signal, None), batches.labels)
    assert loss == pytest.approx(expected.item(), abs=1e-6)
    assert 0 < score <= 1


def test_non_finite_loss_names_epoch_batch_and_clips():
    signal = torch.randn(6, 3)
    signal[4] = math.inf
    trainer, batches = make(n_clips=6, batch_size=1, signal=signal)
    trainer.progress.epoch = 7
    batches.order.set_epoch(7)
    position = [keys[0][1] for keys in batches.order].index(4)
    with pytest.raises(DataError, match=rf"epoch 7, batch {position}, with the clips 4.wav"):
        run_epoch(trainer, batches)


class StoppingBatches(FakeBatches):
    """Before the batch of that number the user asks for a stop."""

    def __init__(self, batches, stop, number):
        super().__init__(batches.order, batches.signal, batches.labels)
        self.stop, self.number = stop, number

    def __iter__(self):
        for number, batch in enumerate(super().__iter__()):
            if number == self.number:
                self.stop.requested_at = 0.0
            yield batch


def two_epochs(accumulation_steps, dropout=0.0):
    """A trainer after two epochs, never stopped."""
    whole, batches = make(accumulation_steps=accumulation_steps, model=TinyModel(dropout))
    for epoch in range(2):
        whole.progress.epoch, whole.progress.batch = epoch, 0
        run_epoch(whole, batches)
    return whole


@pytest.mark.parametrize("accumulation_steps", [1, 2, 3, 5])
@pytest.mark.parametrize("stop_at", [0, 1, 2, 3])
def test_stopped_after_any_batch_and_restored_gives_the_same_weights(accumulation_steps, stop_at):
    """In the middle of an accumulation group, too: what gradients there are is part of the state."""
    whole = two_epochs(accumulation_steps, dropout=0.3)
    first, batches = make(accumulation_steps=accumulation_steps, model=TinyModel(0.3))
    with pytest.raises(Interrupted):
        run_epoch(first, StoppingBatches(batches, first.stop, stop_at))
    assert first.progress.batch == stop_at + 1 and first.is_whole

    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second, batches = make(accumulation_steps=accumulation_steps, model=TinyModel(0.3))
    second.load_state(torch.load(file, weights_only=True))
    run_epoch(second, batches)
    second.progress.epoch, second.progress.batch = 1, 0
    run_epoch(second, batches)
    assert torch.equal(whole.model.linear.weight, second.model.linear.weight)
    assert second.progress.step == whole.progress.step
    assert second.progress.loss_sum == whole.progress.loss_sum


def test_forced_between_batches_the_state_is_whole_and_the_losses_so_far_are_counted():
    """As where the next batch is long in coming and the time of grace is over."""
    trainer, batches = make()

    class Forced(FakeBatches):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == 2:
                    raise Interrupted
                yield batch

    with pytest.raises(Interrupted):
        run_epoch(trainer, Forced(batches.order, batches.signal, batches.labels), log_interval=100)
    assert trainer.is_whole and trainer.progress.batch == 2 and trainer.progress.n_clips == 4


def test_forced_in_the_midst_of_a_batch_the_state_is_not_whole():
    trainer, batches = make()

    def stopped(*_):
        raise Interrupted

    trainer.recipe = replace(trainer.recipe, loss_fn=stopped)
    with pytest.raises(Interrupted):
        run_epoch(trainer, batches)
    assert not trainer.is_whole


def test_a_clip_of_weight_zero_pulls_nowhere():
    """One step on two clips, the second with weight 0: half the step on the first alone."""

    class Weighted(FakeBatches):
        def __iter__(self):
            for batch in super().__iter__():
                yield {**batch, "weights": (batch["index"] == 0).float()}

    trainer, batches = make(n_clips=2)
    reference = TinyModel()
    bce_loss(reference(batches.signal[:1], None), batches.labels[:1]).backward()
    expected = reference.linear.weight.detach() - 0.1 * reference.linear.weight.grad / 2
    run_epoch(trainer, Weighted(batches.order, batches.signal, batches.labels))
    torch.testing.assert_close(trainer.model.linear.weight.detach(), expected)


@pytest.mark.parametrize("from_padded", [True, False])
def test_a_padded_network_and_a_plain_one_resume_each_others_state(from_padded):
    """As where a run goes on on another machine, with a GPU or without; in the midst of a group, too."""

    def trainer_of(is_padded):
        model = trained(tiny("2d", n_classes=2))
        if is_padded:
            model.pad_channels()
        made, batches = make(18, 6, accumulation_steps=2, model=model, signal=noise(18, 3000))
        optimizer = make_optimizer("momentum", model.parameters(), 0.1, 0.01)
        return Trainer(model, optimizer, made.recipe, made.device, made.stop), batches

    whole, batches = trainer_of(False)
    run_epoch(whole, batches)
    first, batches = trainer_of(from_padded)
    with pytest.raises(Interrupted):  # after the first of three batches
        run_epoch(first, StoppingBatches(batches, first.stop, 0))
    state = first.state()
    assert state["gradients"].keys() == dict(first.model.named_parameters()).keys()
    second, batches = trainer_of(not from_padded)
    second.load_state(state)
    run_epoch(second, batches)
    assert second.progress.step == whole.progress.step == 2
    found, expected = second.state(), whole.state()
    for part in ("model", "optimizer"):
        torch.testing.assert_close(found[part], expected[part], rtol=1e-3, atol=1e-4)
