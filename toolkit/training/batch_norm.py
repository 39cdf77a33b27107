"""BatchNorm statistics taken anew: after each epoch of training, and of the very clips to predict.

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

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from ops.errors import DataError
from ops.transforms import Augmentation
from toolkit.clips.loading import Clip, TrainingDataset, make_loader
from toolkit.system import processes
from toolkit.training.replicas import share_weights

LEAST_CLIPS = 8
MOST_CLIPS = 2048  # to predict; by then the statistics have settled
REFRESHING_CLIPS = 256  # after each epoch


def refreshing_loader(
    clips: Sequence[Clip], config: dict[str, Any], fold: int, num_workers: int, pin_memory: bool
) -> DataLoader:
    """Batches of up to REFRESHING_CLIPS of a fold's training clips, for refresh_head after every epoch."""
    return _segments(clips, config, fold, REFRESHING_CLIPS, num_workers, pin_memory, persistent=True)


def refresh_head(model: nn.Module, loader: DataLoader, device: torch.device) -> None:
    """Takes the statistics of the last group of norms anew, the others as they are."""
    _take_statistics(model, model.norm_groups()[-1:], loader, device)
    share_weights(model)


def adapt_batch_norms(
    model: nn.Module, clips: Sequence[Clip], config: dict[str, Any], num_workers: int, device: torch.device
) -> None:
    """Replaces the running statistics of an evaluating network by those of the clips, in place.

    The clips come as training would show them without augmentation, in batches of its batch_size and
    segments of at most its max_audio_length, since its own statistics are those of such batches: all of
    them, or MOST_CLIPS drawn from them, whatever the order of the table. Unreadable clips are left out.
    Raises DataError where fewer than LEAST_CLIPS are left.

    Args:
        model: (signal, lengths) -> logits, on its device, with norm_groups().
        config: of the experiment that trained it.
    """
    # Every process of a run reads the same clips: on GPUs their batch norms wait for each other.
    loader = _segments(clips, config, 0, MOST_CLIPS, num_workers, device.type == "cuda")
    n_own = _take_statistics(model, model.norm_groups(), loader, device)
    share_weights(model)  # the same to the last bit
    require_enough(processes.from_main(lambda: n_own), "clips that can be read")


def require_enough(n_clips: int, what: str) -> None:
    """Raises DataError where so many clips (`what` they are) are too few to take statistics of."""
    if n_clips < LEAST_CLIPS:
        raise DataError(
            f"--adapt_batch_norm takes statistics of the clips to predict: expected at least {LEAST_CLIPS} "
            f"{what}, found {n_clips}; leave the flag out"
        )


def _segments(
    clips: Sequence[Clip],
    config: dict[str, Any],
    fold: int,
    most: int,
    num_workers: int,
    pin_memory: bool,
    persistent: bool = False,
) -> DataLoader:
    """Whole batches (a smaller one would count as much as the others) of up to `most` clips."""
    data, train = config["data"], config["train"]
    clips = sorted(clips, key=lambda clip: (clip.fname, str(clip.path)))
    dataset = TrainingDataset(clips, Augmentation(), 0, data["max_audio_length"], train["seed"], fold)
    order = np.random.default_rng([train["seed"], fold]).permutation(len(clips))
    size = max(1, min(train["batch_size"], len(order)))
    n_used = min(len(order), max(most, size)) // size * size
    batches = [[(0, int(index)) for index in order[at : at + size]] for at in range(0, n_used, size)]
    return make_loader(dataset, batches, num_workers, pin_memory, persistent)


def _take_statistics(
    model: nn.Module, groups: Sequence[list[nn.Module]], loader: DataLoader, device: torch.device
) -> int:
    """A pass a group: the mean of its batches' statistics. Returns the number of clips read in a pass."""
    model.eval()
    n_read = 0
    for group in groups:
        momenta = [norm.momentum for norm in group]
        for norm in group:
            norm.num_batches_tracked.zero_()
            norm.momentum = None  # the mean over batches; the first one replaces what was there
            norm.train()
        n_read = 0
        with torch.no_grad():
            for batch in loader:
                n_read += len(batch["index"])
                if len(batch["index"]):
                    model(batch["signal"].to(device, non_blocking=True), batch["lengths"])
        for norm, momentum in zip(group, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    return n_read
