"""BatchNorm statistics recomputed: after each epoch of training, and from the very clips to predict.

The running average that training leaves is not what evaluation needs. Global pooling gives values that hardly
differ between the clips of a batch but do between batches, each normalised by its own statistics; the head's
norm scales the little that they differ up, and in evaluation an average over other batches is far off. So the
statistics of each group of norms are taken with the earlier groups fixed, as evaluation has them. Wu and
Johnson 2021, arXiv:2105.07576, on precise statistics.

Recordings made elsewhere (another room, microphone or speaker) shift the maps inside a network. Statistics of
the clips to predict take that away, without their labels: Adaptive Batch Normalization, Li et al. 2016,
arXiv:1603.04779; measured by Schneider et al. 2020, arXiv:2006.16971, and Nado et al. 2020, arXiv:2006.10963.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from ops.errors import DataError
from toolkit.clips.loader_processes import BatchLoader
from toolkit.clips.loading import Clip, Segments, TrainingDataset, make_loader
from toolkit.runs.config import RunConfig
from toolkit.system import processes
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime, unaccelerated
from toolkit.training.replicas import share_weights

MIN_CLIPS = 8
MAX_CLIPS = 2048  # to predict; by then the statistics have settled
REFRESHING_CLIPS = 256  # after each epoch


def refreshing_loader(clips: Sequence[Clip], config: RunConfig, fold: int, runtime: Runtime) -> BatchLoader:
    """Batches of up to REFRESHING_CLIPS of a fold's training clips, for refresh_head after every epoch."""
    dataset, batches = _segments(clips, config, fold, REFRESHING_CLIPS)
    return make_loader(dataset, batches, runtime, persistent=True)


def refresh_head(
    model: nn.Module, loader: BatchLoader, device: torch.device, stop: StopRequest | None = None
) -> None:
    """Recomputes the statistics of the last group of norms, the others stay as they are.

    stop is looked at before each batch. Interrupted, or after any error, all statistics are what they were.
    """
    with _restored_on_error(model):
        _recompute_statistics(model, model.norm_groups()[-1:], loader, device, stop)
        share_weights(model)


def adapt_batch_norms(
    model: nn.Module,
    clips: Sequence[Clip],
    config: RunConfig,
    runtime: Runtime,
    stop: StopRequest | None = None,
) -> None:
    """Replaces the running statistics of an evaluating network by those of the clips, in place, in float32.

    The clips come as training would show them without augmentation, in batches of its batch_size and
    segments of at most its max_audio_length, since its own statistics are those of such batches: all of
    them, or MAX_CLIPS drawn from them, whatever the order of the table. Unreadable clips are left out.
    Raises DataError where fewer than MIN_CLIPS are left; after any error the statistics are what they were.

    Args:
        model: (signal, lengths) -> logits, on its device, with norm_groups().
        config: of the experiment that trained it.
    """
    # Every process of a run reads the same clips: on GPUs their batch norms wait for each other.
    dataset, batches = _segments(clips, config, 0, MAX_CLIPS)
    loader = make_loader(dataset, batches, runtime)
    with _restored_on_error(model), unaccelerated(model):
        n_own = _recompute_statistics(model, model.norm_groups(), loader, runtime.device, stop)
        share_weights(model)  # the same to the last bit
        require_enough(processes.from_main(lambda: n_own), "clips that can be read")


def require_enough(n_clips: int, what: str) -> None:
    """Raises DataError where so many clips (`what` they are) are too few to compute statistics from."""
    if n_clips < MIN_CLIPS:
        raise DataError(
            f"--adapt_batch_norm takes statistics of the clips to predict: expected at least {MIN_CLIPS} "
            f"{what}, found {n_clips}; leave the flag out"
        )


def _segments(
    clips: Sequence[Clip], config: RunConfig, fold: int, max_clips: int
) -> tuple[TrainingDataset, list[list[tuple[int, int]]]]:
    """Whole batches (a smaller one would count as much as the others) of up to max_clips clips."""
    train = config.train
    clips = sorted(clips, key=lambda clip: (clip.fname, str(clip.path)))
    dataset = TrainingDataset(clips, Segments(config.data.max_audio_length, train.seed, fold))
    order = np.random.default_rng([train.seed, fold]).permutation(len(clips))
    size = max(1, min(train.batch_size, len(order)))
    n_used = min(len(order), max(max_clips, size)) // size * size
    return dataset, [[(0, int(index)) for index in order[at : at + size]] for at in range(0, n_used, size)]


def _recompute_statistics(
    model: nn.Module,
    groups: Sequence[list[nn.Module]],
    loader: BatchLoader,
    device: torch.device,
    stop: StopRequest | None,
) -> int:
    """One pass for each group: the mean of its batches' statistics. Returns the number of clips of a pass."""
    model.eval()
    n_read = 0
    for group in groups:
        n_read = 0
        with _accumulating(group), torch.no_grad():
            for batch in loader:
                if stop is not None:
                    stop.check()
                n_read += len(batch["index"])
                if len(batch["index"]):
                    model(batch["signal"].to(device, non_blocking=True), batch["lengths"])
    return n_read


@contextmanager
def _accumulating(norms: Sequence[nn.Module]) -> Iterator[None]:
    """Within it the norms average the statistics of the batches they see, the first one replacing theirs."""
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.num_batches_tracked.zero_()
            norm.momentum = None
            norm.train()
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


@contextmanager
def _restored_on_error(model: nn.Module) -> Iterator[None]:
    buffers = [buffer for group in model.norm_groups() for norm in group for buffer in norm.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    except BaseException:
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        raise
